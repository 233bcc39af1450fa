"""PURE: what client, server and image share: names, grammars, device model, wire; effects only in system/."""
