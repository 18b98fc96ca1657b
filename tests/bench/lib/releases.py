# SPDX-License-Identifier: Apache-2.0
"""Releases as the control socket takes them (docs/admin-api.md; docs/architecture.md, "Releases as
bytes"), and the apps that tests/bench/reload changes."""
import hashlib
import json
import pathlib
import socket
import struct

from servers import ROOT


def _bin(data):
    return struct.pack(">BI", 0xC6, len(data)) + data if len(data) > 65535 else (
        struct.pack(">BH", 0xC5, len(data)) + data if len(data) > 255 else bytes([0xC4, len(data)]) + data)


def _array(items):
    head = bytes([0x90 | len(items)]) if len(items) < 16 else struct.pack(">BH", 0xDC, len(items))
    return head + b"".join(items)


def _str(text):
    return bytes([0xA0 | len(text)]) + text.encode()


def _uint(number):
    if number < 128:
        return bytes([number])
    for code, form, most in ((0xCC, ">BB", 1 << 8), (0xCD, ">BH", 1 << 16), (0xCE, ">BI", 1 << 32)):
        if number < most:
            return struct.pack(form, code, number)
    return struct.pack(">BQ", 0xCF, number)


def manifest(files):
    rows = [_array([_bin(path.encode()), b"\xc2", _uint(len(data)), _bin(hashlib.sha256(data).digest())])
            for path, data in sorted(files.items(), key=lambda item: item[0].encode())]
    return b"\x83" + _str("v") + _uint(1) + _str("needs") + _array([]) + _str("files") + _array(rows)


def bundle(files, sent=None):
    """@param sent  the paths whose contents go along; default: all."""
    contents = {hashlib.sha256(files[path]).digest(): files[path] for path in sent or files}
    return (b"\x83" + _str("v") + _uint(1) + _str("manifest") + _bin(manifest(files)) +
            _str("contents") + _array([_bin(contents[name]) for name in sorted(contents)]))


class Control:
    """The control socket; one connection for all that is asked."""

    def __init__(self, data):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(f"{data}/control.sock")
        self.stream = self.socket.makefile("rb")

    def ask(self, method, target, body=b""):
        self.socket.sendall(f"{method} {target} HTTP/1.1\r\nHost: node\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status = int(self.stream.readline().split()[1])
        length = 0
        while (line := self.stream.readline().strip()):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        answer = json.loads(self.stream.read(length))
        if status != 200:
            raise SystemExit(f"{method} {target}: {status} {answer}")
        return answer

    def apply(self, body):
        return self.ask("POST", "/v1/releases?author=bench", body)


def said(release):
    return f"location = /release {{ return 200 {release}; }}".encode()


def hello(release):
    """examples/hello, with a location that says which release it is of."""
    folder = ROOT / "examples/hello"
    files = {str(path.relative_to(folder)): path.read_bytes()
             for path in folder.rglob("*") if path.is_file()}
    conf = files["nginx.conf"].replace(b"listen 8080;", b"listen 8080;\n    " + said(release))
    return {**files, "nginx.conf": conf}


def modules(release, count=200):
    """An app that loads so many Lua modules, of some sixty lines each, when it starts."""
    files = {}
    for i in range(count):
        text = "\n".join(f"function m.f{k}(a, b)\n  local t = {{ a, b, name = 'm{i}.f{k}' }}\n"
                         f"  if a > b then t.more = a - b else t.less = b - a end\n  return t\nend"
                         for k in range(12))
        files[f"lua/m{i:03}.lua"] = f"local m = {{}}\n{text}\nreturn m\n".encode()
    files["lua/m000.lua"] += f"-- {release}\n".encode()
    files["nginx.conf"] = (f'lua_package_path "$prefix/lua/?.lua;;";\ninit_by_lua_block {{\n'
                           f'  for i = 0, {count - 1} do require(("m%03d"):format(i)) end\n}}\n'
                           "server {\n  listen 8080;\n").encode() + said(release) + b"\n}\n"
    return files


def loaded(release):
    """What is changed under load: its header, body and log say of which release they are."""
    conf = """
lua_package_path "$prefix/lua/?.lua;;";
lua_shared_dict tally 1m;
keepalive_requests 1000000000;
log_format swap "@R@ $sent_http_x_release";
server {
    listen 8080;
    access_log off;
    location = / {
        access_log logs/swap.log swap buffer=64k;
        header_filter_by_lua_block { ngx.header["X-Release"] = "@R@" }
        content_by_lua_file lua/content.lua;
        log_by_lua_block {
            local tally = ngx.shared.tally
            tally:incr("logged", 1, 0)
            if require("release") ~= "@R@" or ngx.header["X-Release"] ~= "@R@" then
                tally:incr("mixed", 1, 0)
            end
        }
    }
    location = /tally {
        content_by_lua_block {
            local tally = ngx.shared.tally
            ngx.print(tally:get("logged") or 0, " ", tally:get("mixed") or 0)
        }
    }
    location = /socket {
        content_by_lua_block {
            local ws = assert(require("nginx.websocket.server"):new { timeout = 3600000 })
            while true do
                local text, kind = ws:recv_frame()
                if not text or kind == "close" then return end
                ws:send_text(text)
            end
        }
    }
}
"""
    content = ('local lines = require("release") .. "\\n@R@\\n"\n'
               "ngx.header.content_length = #lines\nngx.print(lines)\n")
    return {"nginx.conf": conf.replace("@R@", release).encode(),
            "lua/content.lua": content.replace("@R@", release).encode(),
            "lua/release.lua": f'return "{release}"\n'.encode()}


def watching(shards):
    """Each shard notes when it saw a config value."""
    conf = """
lua_shared_dict seen 1m;
init_worker_by_lua_block {
    local ffi = require "ffi"
    ffi.cdef "struct seen_time { long s; long ns; }; int clock_gettime(int, struct seen_time*);"
    local time = ffi.new("struct seen_time")
    troupe.config.watch("bench.", function(key, value)
        ffi.C.clock_gettime(1, time)
        ngx.shared.seen:set(value .. " " .. ngx.worker.id(), tonumber(time.s) + tonumber(time.ns) / 1e9)
    end)
}
server {
    listen 8080;
    location = /seen {
        content_by_lua_block {
            for i = 0, @SHARDS@ - 1 do
                ngx.print(("%.9f "):format(ngx.shared.seen:get(ngx.var.arg_v .. " " .. i) or 0))
            end
        }
    }
}
"""
    return {"nginx.conf": conf.replace("@SHARDS@", str(shards)).encode()}


def write(files, folder):
    for path, data in files.items():
        file = pathlib.Path(folder) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}~")
        fresh.write_bytes(data)
        fresh.replace(file)
