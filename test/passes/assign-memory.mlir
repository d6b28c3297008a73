// Counters first, then buffers, each in order and on a cache line of its own: no
// two overlap, and the module's sizes are the exact ends.
// RUN: fusco-opt %s --pipe-assign-memory -split-input-file | FileCheck %s
// RUN: fusco-opt %s --pipe-assign-memory -split-input-file > %t
// RUN: %python %S/Inputs/check-memory.py %t

// 2 counters of 3 * 128, then 132 bytes in three lines and 4 in one; 136 bytes in
// three lines of the plan.
// CHECK: module attributes {pipe.plan_bytes = 192 : i64, pipe.symmetric_bytes = 1024 : i64}
// CHECK: pipe.buffer @first : memref<33xi32> symmetric at 768
pipe.buffer @first : memref<33xi32> symmetric
// CHECK: pipe.buffer @mine : memref<17xi64> plan at 0
pipe.buffer @mine : memref<17xi64> plan
// CHECK: pipe.counter @a phase plan peers 3 at 0
pipe.counter @a phase plan peers 3
// An offset that is there is no longer right.
// CHECK: pipe.buffer @second : memref<1xf32> symmetric at 960
pipe.buffer @second : memref<1xf32> symmetric at 8
// CHECK: pipe.counter @b phase rows peers 3 at 384
pipe.counter @b phase rows peers 3

// -----

// Nothing to lay out, and what has no size.
// CHECK: module attributes {pipe.plan_bytes = 64 : i64, pipe.symmetric_bytes = 0 : i64}
// CHECK: pipe.buffer @empty : memref<0x6xi32> plan at 0
pipe.buffer @empty : memref<0x6xi32> plan
// CHECK: pipe.buffer @whole : memref<2x8xi32> plan at 0
pipe.buffer @whole : memref<2x8xi32> plan
