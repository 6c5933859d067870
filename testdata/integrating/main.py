# As main.go, for Python. Tokens that it cannot verify are checked by verifyToken only.
import os
import sys

from ask import ask
from verify import verify

env = os.environ
for line in sys.stdin:
    token = line.rstrip("\n")
    verified = "-"
    if env["ALGORITHM"] == "HS256":
        with open(env["SECRET_FILE"], "rb") as file:
            claims = verify(token, file.read().rstrip(b"\n"), env["ISSUER"], env["AUDIENCE"] or None)
        verified = claims["sub"] if claims else "nobody"
    asked = ask(env["API"], token)
    print(verified, asked["sub"] if asked else "nobody")
