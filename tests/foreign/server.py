"""The server under test as a child process, and the person of the tests."""

import asyncio
import json
import subprocess
import urllib.error
import urllib.request

ANN = 1001
# Every wait of a test ends after this many seconds.
SOON = 20


class Server:
    """One `telexd-botapi`. It ends when its standard input does, so none is left behind."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        hello = json.loads(self.process.stdout.readline())
        self.url, self.token = hello["url"], hello["token"]

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(SOON)
        if code != 0:
            raise AssertionError(f"the server ended with {code}")

    def _ask(self, route, body):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/sim/{route}", data=data)
        try:
            with urllib.request.urlopen(request, timeout=SOON) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"/sim/{route}: {error.read().decode()}") from error

    async def look(self, route):
        """GET below /sim/."""
        return await asyncio.to_thread(self._ask, route, None)

    async def act(self, route, **body):
        """POST below /sim/."""
        return await asyncio.to_thread(self._ask, route, body)

    async def shown(self, message_id):
        """A message of Ann's chat as she sees it."""
        messages = await self.look(f"messages?chat={ANN}")
        return next(m for m in messages if m["message_id"] == message_id)


class Checks:
    """Prints one line per check; a check that raises ends the run."""

    def __init__(self, client):
        self.client = client

    async def __call__(self, name, test):
        try:
            await asyncio.wait_for(test, SOON)
        except BaseException as error:
            print(f"FAIL {self.client}: {name}: {type(error).__name__}: {error}", flush=True)
            raise
        print(f"ok   {self.client}: {name}", flush=True)


def equal(found, wanted):
    """Fails with both values; `assert` could be optimised away."""
    if found != wanted:
        raise AssertionError(f"found {found!r}, wanted {wanted!r}")


async def refused(call, kind):
    """The error of a call that must fail with this kind."""
    try:
        result = await call
    except kind as error:
        return error
    raise AssertionError(f"{result!r} instead of {kind.__name__}")
