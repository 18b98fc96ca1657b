-- SPDX-License-Identifier: Apache-2.0
-- resty.core.base: the parts that other libraries use.
local ffi = require "ffi"
local new_table = require "table.new"
local clear_table = require "table.clear"

local base = {
  version = "0.1.33",
  new_tab = new_table,
  clear_tab = clear_table,
  FFI_OK = 0,
  FFI_ERROR = -1,
  FFI_AGAIN = -2,
  FFI_BUSY = -3,
  FFI_DONE = -4,
  FFI_DECLINED = -5,
  FFI_ABORT = -6,
  FFI_NO_REQ_CTX = -100,
  FFI_BAD_CONTEXT = -101,
}

local buffer_size = 4096
local buffer
local size_ptr = ffi.new("size_t[1]")
local errmsg_ptr = ffi.new("unsigned char*[1]")

function base.get_string_buf_size() return buffer_size end

function base.set_string_buf_size(size)
  buffer_size = size
  buffer = nil
end

function base.get_string_buf(size, must_alloc)
  if size > buffer_size or must_alloc then return ffi.new("unsigned char[?]", size) end
  buffer = buffer or ffi.new("unsigned char[?]", buffer_size)
  return buffer
end

function base.get_size_ptr() return size_ptr end
function base.get_errmsg_ptr() return errmsg_ptr end
function base.allows_subsystem() end
function base.get_request() return require("thread.exdata")() end

function base.ref_in_table(t, value)
  if value == nil then return -1 end
  local free = t[0] or 0
  if free ~= 0 then
    t[0] = t[free]
  else
    free = #t + 1
  end
  t[free] = value
  return free
end

return base
