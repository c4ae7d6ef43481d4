"""The gateway's LLM addresses: `/v1/chat/completions`, `/v1/responses`, `/v1/messages` and their likes.

`gateway.llm` translates between the formats; here requests come in, an account is chosen, and answers go out.
"""
