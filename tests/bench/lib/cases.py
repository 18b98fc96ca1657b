# SPDX-License-Identifier: Apache-2.0
"""What is asked of both sides; cases.conf answers it."""


READING = {
    "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br",
    "Accept-Language": "en-GB,en;q=0.5",
    "Cookie": "session=0123456789abcdef; theme=dark",
    "Referer": "http://127.0.0.1/",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)",
    "X-Part": "Nurse",
}


class Case:
    def __init__(self, name, title, path, connections=64, method="GET", body="", headers=None,
                 pause=0, peer=None, tally=""):
        self.name, self.title, self.path, self.connections = name, title, path, connections
        self.pause = pause  # ms at most between a connection's requests
        self.peer = peer    # what the server talks to: a name of peers.PEERS
        self.tally = tally  # path that answers how often what the requests caused has happened
        self.method, self.body, self.headers = method, body, headers or {}

    def script(self):
        """For wrk: one request, formatted once."""
        lines = [f'wrk.method = "{self.method}"', f'wrk.body = string.rep("x", {len(self.body)})']
        if not self.body:
            lines.pop()
        lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in self.headers.items()]
        if self.pause:
            lines.append(f"function delay() return math.random(0, {self.pause}) end")
        return "\n".join(lines) + "\n"

    def request(self, port):
        fields = {"Host": f"127.0.0.1:{port}", **self.headers}
        if self.body:
            fields["Content-Length"] = len(self.body)
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n{self.body}".encode()


CASES = [
    Case("return_200", "`return 200`", "/return_200"),
    Case("content", "content only", "/content"),
    Case("phases", "five phases", "/phases"),
    Case("echo_1k", "POST echo, 1 KB", "/echo", method="POST", body="x" * 1024),
    Case("echo_1m", "POST echo, 1 MB", "/echo", connections=8, method="POST", body="x" * (1 << 20)),
    Case("sleep", "`ngx.sleep(0.01)`, 1,000 connections", "/sleep", connections=1000),
    Case("sleep_paced", "the same, each connection pausing 0 to 200 ms", "/sleep", connections=1000,
         pause=200),
    Case("reading", "headers, args and vars", "/reading?act=2&scene=4&line=Juliet", headers=READING),
    Case("incr", "shared-dict incr", "/incr"),
    Case("access_log", "access log on", "/access_log"),
    Case("redis_get", "`redis GET`, pooled cosocket", "/redis_get", peer="redis"),
    Case("socket_echo", "cosocket echo, 64 KB", "/socket_echo", connections=16, peer="echo"),
    Case("capture", "`capture`", "/capture"),
    Case("capture_multi", "`capture_multi` of 10", "/capture_multi"),
    Case("timers", "`ngx.timer.at(0)`", "/timers", tally="/timers_run"),
    Case("timers_paced", "the same, 1,000 timers a second", "/timers", connections=100, pause=200,
         tally="/timers_run"),
    Case("threads", "two light threads", "/threads"),
]
EXTRAS = {"idle": "bytes of an idle connection", "malloc": "calls of malloc in a request",
          "startup": "from start to the first answer",
          "held": "bytes and CPU of each of 10,000 sleeping requests",
          "soak": "memory over a million requests of two light threads each"}
