"""How much of a core it takes to translate streams: 20 at once, each with 100 events a second.

Beside it, in turns: the same events, read as JSON and written again, as any translation must. Prints both as
shares of a core.
"""

import json
import sys
import time

from keyfob.gateway.llm.events import EventReader, encoded
from keyfob.gateway.llm.translate import StreamTranslator

STREAMS = 20
EVENTS = 100  # a second, of each stream
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1700000000,
    "status": "in_progress",
    "model": "m",
}
PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
CHAT = {"model": "m", "stream": True, "stream_options": {"include_usage": True}}
MESSAGES = {"model": "m", "stream": True}
USAGE = {"input_tokens": 10, "output_tokens": 1}
MESSAGE = {"id": "msg_1", "role": "assistant", "model": "m", "content": [], "usage": USAGE}


def sse(name, **data):
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def of_responses(number):
    if number == 0:
        return sse("response.created", type="response.created", response=RESPONSE, sequence_number=0)
    kind = "response.output_text.delta"
    pad = "x" * (number % 16)  # as OpenAI pads its events
    return sse(kind, type=kind, **PLACE, delta=f" word {number}", sequence_number=number, obfuscation=pad)


def of_chat(number):
    delta = {"content": f" word {number}"} if number else {"role": "assistant", "content": ""}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    return sse(None, id="chatcmpl-1", object="chat.completion.chunk", created=1, model="m", choices=[choice])


def of_messages(number):
    if number == 0:
        block = {"type": "text", "text": ""}
        start = sse("message_start", type="message_start", message=MESSAGE)
        return start + sse("content_block_start", type="content_block_start", index=0, content_block=block)
    delta = {"type": "text_delta", "text": f" word {number}"}
    return sse("content_block_delta", type="content_block_delta", index=0, delta=delta)


PAIRS = {
    "Responses for Chat Completions": ("openai_responses", "openai_chat", CHAT, of_responses),
    "Responses for Messages": ("openai_responses", "anthropic_messages", MESSAGES, of_responses),
    "Messages for Chat Completions": ("anthropic_messages", "openai_chat", CHAT, of_messages),
    "Chat Completions for Messages": ("openai_chat", "anthropic_messages", MESSAGES, of_chat),
}


class Translated:
    """One stream, as the gateway passes it on."""

    def __init__(self, source, target, request):
        self.reader = EventReader()
        self.translator = StreamTranslator(source, target, request)

    def feed(self, chunk):
        return b"".join(
            encoded(each) for event in self.reader.feed(chunk) for each in self.translator.feed(event)
        )


class Reread:
    """One stream, read as JSON and written again."""

    def feed(self, chunk):
        lines = [line for line in chunk.split(b"\n") if line.startswith(b"data: ")]
        return b"".join(b"data: " + json.dumps(json.loads(line[6:])).encode() + b"\n\n" for line in lines)


def share(streams, event, seconds):
    """The share of a core that they take, with an event for each in every hundredth of a second."""
    ticks = int(seconds * EVENTS)
    chunks = [event(number) for number in range(ticks)]
    size = 0
    began, used = time.perf_counter(), time.process_time()
    for number, chunk in enumerate(chunks):
        size += sum(len(stream.feed(chunk)) for stream in streams)
        time.sleep(max(0.0, began + (number + 1) / EVENTS - time.perf_counter()))
    assert size > ticks * STREAMS * 50, "the streams said nothing"
    return (time.process_time() - used) / (time.perf_counter() - began)


found = {}
for name, (source, target, request, event) in PAIRS.items():
    taken = {"translated": [], "reread": []}
    for _ in range(3):
        streams = [Translated(source, target, request) for _ in range(STREAMS)]
        taken["translated"].append(share(streams, event, float(sys.argv[1])))
        taken["reread"].append(share([Reread() for _ in range(STREAMS)], event, float(sys.argv[1])))
    found[name] = {kind: sorted(shares)[1] for kind, shares in taken.items()}
print(json.dumps(found))
