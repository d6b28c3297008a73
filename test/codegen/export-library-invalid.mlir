// RUN: fusco-opt %s --fusco-describe-library -split-input-file -verify-diagnostics
// RUN: not fusco-opt %S/Inputs/empty.mlir --fusco-export-library 2>&1 | FileCheck %s
// CHECK: error: expected a description; run fusco-describe-library first

// expected-error@+1 {{expected pipe programs with assigned memory; run fusco-pipe-pipeline first}}
module @no_memory {
  fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
    topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
}

// -----

// 63 characters fit.
module @m attributes {pipe.symmetric_bytes = 0 : i64, pipe.network_bytes = 0 : i64, pipe.plan_bytes = 0 : i64, pipe.align_rows = 1 : i64} {
  fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
    topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
  pipe.program @a23456789012345678901234567890123456789012345678901234567890123() {
    pipe.return
  }
  // expected-error@+1 {{expected a name of at most 63 characters, got 'b234567890123456789012345678901234567890123456789012345678901234'}}
  pipe.program @b234567890123456789012345678901234567890123456789012345678901234() {
    pipe.return
  }
}

// -----

module @m attributes {pipe.symmetric_bytes = 0 : i64, pipe.network_bytes = 0 : i64, pipe.plan_bytes = 0 : i64, pipe.align_rows = 1 : i64} {
  fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
    topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
  pipe.program @p0() { pipe.return }
  pipe.program @p1() { pipe.return }
  pipe.program @p2() { pipe.return }
  pipe.program @p3() { pipe.return }
  pipe.program @p4() { pipe.return }
  pipe.program @p5() { pipe.return }
  pipe.program @p6() { pipe.return }
  pipe.program @p7() { pipe.return }
  // expected-error@+1 {{expected at most 8 programs in a module}}
  pipe.program @p8() { pipe.return }
}

// -----

module @m attributes {pipe.symmetric_bytes = 0 : i64, pipe.network_bytes = 0 : i64, pipe.plan_bytes = 0 : i64, pipe.align_rows = 1 : i64} {
  fusco.group @ep {experts = 8, topk = 2, max_tokens = 4,
    topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
  // expected-error@+1 {{expected at most 12 tensors, got 13}}
  pipe.program @tensors(
      %0: memref<1xi32> {pipe.name = "a"}, %1: memref<1xi32> {pipe.name = "b"}, %2: memref<1xi32> {pipe.name = "c"},
      %3: memref<1xi32> {pipe.name = "d"}, %4: memref<1xi32> {pipe.name = "e"}, %5: memref<1xi32> {pipe.name = "f"},
      %6: memref<1xi32> {pipe.name = "g"}, %7: memref<1xi32> {pipe.name = "h"}, %8: memref<1xi32> {pipe.name = "i"},
      %9: memref<1xi32> {pipe.name = "j"}, %10: memref<1xi32> {pipe.name = "k"}, %11: memref<1xi32> {pipe.name = "l"},
      %12: memref<1xi32> {pipe.name = "m"}) {
    pipe.return
  }
}
