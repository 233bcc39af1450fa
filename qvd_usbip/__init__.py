"""PURE: what client, server and image share: values, parsers, protocols, problems. Effects live in `system` only."""

VERSION = "0.1.0"
