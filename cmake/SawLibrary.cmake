# Everything that ctest runs under the label "unit": what the sanitizer presets build.
add_custom_target(unit_tests)

# saw_library(NAME <component> [DEPS <components>…] [LIBS <third-party targets>…] [EXCLUDE <files>…] [TEST_LIBS …])
#
# Makes the static library saw_<component> from every .cc of the folder, and the gtest program <component>_test from every
# *_test.cc, registered with ctest under the label "unit". DEPS must be allowed by the table in tools/check_layers.py, which
# ctest runs as "layers". Third-party headers stay private: LIBS never reach a component's users' include path.
function(saw_library)
  cmake_parse_arguments(A "" "NAME" "DEPS;LIBS;EXCLUDE;TEST_LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc ${CMAKE_CURRENT_SOURCE_DIR}/*/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  foreach(file ${A_EXCLUDE})
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    list(REMOVE_ITEM tests ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()

  add_library(saw_${A_NAME} STATIC ${sources})
  target_include_directories(saw_${A_NAME} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  foreach(dep ${A_DEPS})
    target_link_libraries(saw_${A_NAME} PUBLIC saw_${dep})
  endforeach()
  target_link_libraries(saw_${A_NAME} PRIVATE ${A_LIBS})
  saw_compile_options(saw_${A_NAME})

  if(tests)
    add_executable(${A_NAME}_test ${tests})
    target_link_libraries(${A_NAME}_test PRIVATE saw_${A_NAME} ${A_TEST_LIBS} GTest::gmock GTest::gtest_main)
    target_compile_definitions(${A_NAME}_test PRIVATE SAW_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    saw_compile_options(${A_NAME}_test)
    add_test(NAME ${A_NAME} COMMAND ${A_NAME}_test)
    set_tests_properties(${A_NAME} PROPERTIES LABELS unit)
    add_dependencies(unit_tests ${A_NAME}_test)
  endif()
endfunction()

# saw_program(NAME <program> SOURCES <files>… DEPS <components>… [LIBS …]): one of apps/.
function(saw_program)
  cmake_parse_arguments(A "" "NAME" "SOURCES;DEPS;LIBS" ${ARGN})
  add_executable(${A_NAME} ${A_SOURCES})
  foreach(dep ${A_DEPS})
    target_link_libraries(${A_NAME} PRIVATE saw_${dep})
  endforeach()
  target_link_libraries(${A_NAME} PRIVATE ${A_LIBS})
  saw_compile_options(${A_NAME})
endfunction()
