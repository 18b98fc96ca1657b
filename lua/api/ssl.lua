-- SPDX-License-Identifier: Apache-2.0
-- ngx.ssl: certificates and keys as OpenSSL's objects, for tcpsock:setclientcert.
local c, _, _, check = ...
local ffi = require "ffi"
local ffi_string, ffi_gc = ffi.string, ffi.gc
local check_text, buffer = check.text_argument, check.buffer
local failure = ffi.new("const char*[1]")

local ssl = {
  version = check.resty_core_version,
  SSL3_VERSION = 0x0300, TLS1_VERSION = 0x0301, TLS1_1_VERSION = 0x0302,
  TLS1_2_VERSION = 0x0303, TLS1_3_VERSION = 0x0304,
}

function ssl.cert_pem_to_der(pem)
  pem = check_text(pem, 1)
  local room = buffer(#pem)
  local size = c.cert_pem_to_der(pem, #pem, room, failure)
  if size < 0 then return nil, ffi_string(failure[0]) end
  return ffi_string(room, size)
end

function ssl.priv_key_pem_to_der(pem, passphrase)
  pem = check_text(pem, 1)
  if passphrase ~= nil then passphrase = check_text(passphrase, 2) end
  local room = buffer(#pem)
  local size = c.key_pem_to_der(pem, #pem, passphrase, room, failure)
  if size < 0 then return nil, ffi_string(failure[0]) end
  return ffi_string(room, size)
end

local function parser(parse, free)
  return function(text)
    text = check_text(text, 1)
    local made = parse(text, #text, failure)
    if made == nil then return nil, ffi_string(failure[0]) end
    return ffi_gc(made, free)
  end
end

ssl.parse_pem_cert = parser(c.parse_pem_cert, c.free_cert)
ssl.parse_der_cert = parser(c.parse_der_cert, c.free_cert)
ssl.parse_pem_priv_key = parser(c.parse_pem_key, c.free_key)
ssl.parse_der_priv_key = parser(c.parse_der_key, c.free_key)

package.preload["ngx.ssl"] = function() return ssl end
