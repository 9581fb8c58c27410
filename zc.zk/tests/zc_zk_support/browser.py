"""A real browser, Debian's chromium, driven over its debugging pipe.

The Chrome DevTools Protocol has messages of JSON, each with a null byte behind
it, on descriptors 3 and 4 of the browser
(https://chromedevtools.github.io/devtools-protocol/).
"""
import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from zc.zk.testing.waiting import wait_for

#: How long the browser may take to answer.
ANSWER_S = 60.0

#: The names of its program.
NAMES = 'chromium', 'chromium-browser', 'google-chrome'

KEYS = {'Tab': 9, 'Enter': 13, 'Space': 32, 'Escape': 27}


def find_chromium() -> str:
    """Return the path of the browser; skip the test where there is none."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise pytest.skip.Exception(
        "no chromium: install Debian's package of that name to run the tests"
        ' of the page')


class Browser:
    """A browser with one page, in `folder`; `close` ends it."""

    def __init__(self, folder: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()
        self._write, self._read = (
            fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20)
            for fd in (ours[1], theirs[0]))
        for_child = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20)
                     for fd in (ours[0], theirs[1])]
        for fd in (*ours, *theirs):
            os.close(fd)

        def place() -> None:
            os.dup2(for_child[0], 3)
            os.dup2(for_child[1], 4)

        self._popen = subprocess.Popen(
            [find_chromium(), '--headless=new', '--no-sandbox',
             '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
             '--remote-debugging-pipe', f'--user-data-dir={folder}',
             'about:blank'], preexec_fn=place, close_fds=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        for fd in for_child:
            os.close(fd)
        self._buffer = b''
        self._count = 0
        self._session = ''
        #: What the browser complained of: texts of JSON.
        self.complaints: list[str] = []
        target = self.send('Target.createTarget', url='about:blank')
        self._session = self.send(
            'Target.attachToTarget', targetId=target['targetId'],
            flatten=True)['sessionId']
        for domain in 'Page', 'Runtime', 'Log':
            self.send(f'{domain}.enable')

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command; return its result."""
        self._count += 1
        message = {'id': self._count, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._write, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._receive()
            if answer.get('id') == self._count:
                assert 'error' not in answer, (method, answer['error'])
                return answer['result']
            if answer.get('method') in ('Log.entryAdded',
                                        'Runtime.exceptionThrown'):
                self.complaints.append(json.dumps(answer['params']))

    def _receive(self) -> dict[str, Any]:
        deadline = time.monotonic() + ANSWER_S
        while b'\0' not in self._buffer:
            rest_s = max(0, deadline - time.monotonic())
            if not select.select([self._read], [], [], rest_s)[0]:
                raise TimeoutError('the browser does not answer')
            data = os.read(self._read, 2 ** 20)
            assert data, 'the browser has ended'
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b'\0')
        return json.loads(message)

    def open(self, url: str) -> None:
        """Open a page."""
        self.send('Page.navigate', url=url)

    def js(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        result = self.send('Runtime.evaluate', expression=expression,
                           awaitPromise=True, returnByValue=True)
        assert 'exceptionDetails' not in result, (
            expression, result['exceptionDetails'])
        return result['result'].get('value')

    def wait(self, expression: str, what: str = '') -> Any:
        """Wait until a JavaScript expression is true to JavaScript."""
        return wait_for(lambda: self.js(f'!!({expression})'), 30, lambda: (
            f'{what or expression}; the page says:\n'
            + self.js('document.body.innerText')[:4000]))

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press a key of KEYS; `modifiers` 8 is Shift."""
        text = {'Enter': '\r', 'Space': ' '}.get(key, '')
        fields = {'key': {'Space': ' '}.get(key, key), 'code': key,
                  'windowsVirtualKeyCode': KEYS[key], 'modifiers': modifiers}
        self.send('Input.dispatchKeyEvent', type='keyDown', text=text,
                  **fields)
        self.send('Input.dispatchKeyEvent', type='keyUp', **fields)

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.send('Input.insertText', text=text)

    def look(self, width: int = 1200, height: int = 1000,
             scheme: str = 'light') -> None:
        """Set the size of the page in pixels, and light or dark."""
        self.send('Emulation.setDeviceMetricsOverride', width=width,
                  height=height, deviceScaleFactor=1, mobile=False)
        self.send('Emulation.setEmulatedMedia', features=[
            {'name': 'prefers-color-scheme', 'value': scheme}])

    def screenshot(self, path: Path) -> None:
        """Write what the page looks like, a PNG."""
        data = self.send('Page.captureScreenshot', format='png')['data']
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        """Kill the browser."""
        self._popen.kill()
        self._popen.wait()
        os.close(self._write)
        os.close(self._read)
