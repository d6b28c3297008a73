// RUN: fusco-opt %s --pipe-programs-to-cuda -split-input-file -verify-diagnostics

// There is room for so many in what the blocks of a rank share.
pipe.program @too_many_values() {
  %i = pipe.rank
  // expected-error@+1 {{'pipe.fork' op expected at most 16 values for a team of a GPU, got 17}}
  pipe.fork @t(%i, %i, %i, %i, %i, %i, %i, %i, %i, %i, %i, %i, %i, %i, %i, %i, %i : index, index, index, index, index, index, index, index, index, index, index, index, index, index, index, index, index)
  pipe.return
}
pipe.team @t of @too_many_values {
^bb0(%0: index, %1: index, %2: index, %3: index, %4: index, %5: index, %6: index, %7: index, %8: index, %9: index, %10: index, %11: index, %12: index, %13: index, %14: index, %15: index, %16: index):
  pipe.return
}

// -----

// expected-error@+1 {{'pipe.buffer' op expected an offset; run pipe-assign-memory first}}
pipe.buffer @somewhere : memref<4x8xi32> symmetric
