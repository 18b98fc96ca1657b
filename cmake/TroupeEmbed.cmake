# Embeds text files into a target as C++ constants.
#
#   troupe_embed(troupe_lua api/time.lua api/time.ffi.h …)
#
# makes generated/lua/api/time.lua.inc, a raw string literal that a source includes where it wants
# the text:  constexpr std::string_view source = {
#            #include "lua/api/time.lua.inc"
#            };
function(troupe_embed target)
  foreach(file ${ARGN})
    file(RELATIVE_PATH relative ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    set(output ${CMAKE_BINARY_DIR}/generated/${relative}.inc)
    add_custom_command(OUTPUT ${output}
      COMMAND ${CMAKE_COMMAND} -DINPUT=${CMAKE_CURRENT_SOURCE_DIR}/${file} -DOUTPUT=${output}
              -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake)
    target_sources(${target} PRIVATE ${output})
  endforeach()
endfunction()
