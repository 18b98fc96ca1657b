# One folder, one library target `troupe::NAME`: what it links is what it may include.
#
#   troupe_library(net SOURCES a.cpp … LINKS troupe::… OpenSSL::SSL …)
#
# A target with the property TROUPE_UNOPTIMIZED is compiled without optimization: tests, which wait for
# the compiler longer than for themselves.
add_library(troupe_options INTERFACE)
target_compile_options(troupe_options INTERFACE -Wall -Wextra -Wno-missing-field-initializers
  $<$<CONFIG:Release>:$<IF:$<BOOL:$<TARGET_PROPERTY:TROUPE_UNOPTIMIZED>>,-O0,-O2> -g1>)
if(TROUPE_SANITIZE)
  target_compile_options(troupe_options INTERFACE -fsanitize=${TROUPE_SANITIZE}
    -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1)
  if(NOT TROUPE_SANITIZE STREQUAL "thread")
    # CAF's queues cast their stub, which is no message.
    target_compile_options(troupe_options INTERFACE -fno-sanitize=vptr)
  endif()
  target_link_options(troupe_options INTERFACE -fsanitize=${TROUPE_SANITIZE})
endif()

function(troupe_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_library(troupe_${name} STATIC ${arg_SOURCES})
  add_library(troupe::${name} ALIAS troupe_${name})
  target_include_directories(troupe_${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
  target_link_libraries(troupe_${name} PUBLIC ${arg_LINKS} PRIVATE troupe_options)
endfunction()
