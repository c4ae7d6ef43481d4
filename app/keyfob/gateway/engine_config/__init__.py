"""Configurations in which nginx, Caddy or Envoy carries the traffic, and asks the gateway for decisions."""
