"""Verifies deliveries: Testmo's own signature as its documentation says, and with the library of Standard Webhooks.

Usage: verify.py FILE; the file has {"secret", "deliveries": [{"headers": [[name, value], ...], "body": base64}]}
"""

import base64
import hashlib
import hmac
import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        told = json.load(file)
    secret = told["secret"]
    for delivery in told["deliveries"]:
        headers = {name.lower(): value for name, value in delivery["headers"]}
        body = base64.b64decode(delivery["body"])
        own = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(own, headers["x-testmo-signature-256"]):
            raise SystemExit("x-testmo-signature-256 is wrong")
        Webhook(secret).verify(body, headers)
        try:
            Webhook(secret).verify(body + b" ", headers)
        except WebhookVerificationError:
            pass
        else:
            raise SystemExit("a changed body passes: nothing was verified")
    print(f"{len(told['deliveries'])} verified")


main()
