# Fails if MODULE exports a symbol that does not start with fusco_.
execute_process(COMMAND ${NM} --dynamic --defined-only ${MODULE}
                OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^ \n]+\n" names "${symbols}")
list(LENGTH names count)
if(count EQUAL 0)
  message(FATAL_ERROR "expected exported symbols in ${MODULE}, found none")
endif()
list(FILTER names EXCLUDE REGEX "^fusco_")
if(names)
  message(FATAL_ERROR "expected only fusco_* to be exported, found ${names}")
endif()
