// What a network reads or writes, then the rest; of either channels first, then
// buffers, each in order and on a cache line of its own: no two overlap, and the
// module's sizes are the exact ends.
// RUN: fusco-opt %s --pipe-assign-memory -split-input-file | FileCheck %s
// RUN: fusco-opt %s --pipe-assign-memory -split-input-file > %t
// RUN: %python %S/Inputs/check-memory.py %t

// 3 lanes of 2 slots and 1 lane of 1, and for each lane two lines more: 12 + 3
// lines. Then 132 bytes in three lines, 4 in one and 13 in one; 136 bytes in three
// lines of the plan.
// CHECK: module attributes {pipe.network_bytes = 768 : i64, pipe.plan_bytes = 192 : i64, pipe.symmetric_bytes = 1280 : i64}
// CHECK: pipe.buffer @first : memref<33xi32> symmetric at 960
pipe.buffer @first : memref<33xi32> symmetric
// CHECK: pipe.buffer @mine : memref<17xi64> plan at 0
pipe.buffer @mine : memref<17xi64> plan
// CHECK: pipe.channel @a phase plan link scale_out lanes 3 depth 2 freed_by rounds at 0
pipe.channel @a phase plan link scale_out lanes 3 depth 2 freed_by rounds
// An offset that is there is no longer right.
// CHECK: pipe.buffer @second : memref<1xf32> symmetric at 1152
pipe.buffer @second : memref<1xf32> symmetric at 8
// CHECK: pipe.buffer @third : memref<13xi8> symmetric at 1216
pipe.buffer @third : memref<13xi8> symmetric
// CHECK: pipe.channel @b phase rows link scale_up lanes 1 depth 1 freed_by credit at 768
pipe.channel @b phase rows link scale_up lanes 1 depth 1 freed_by credit

// -----

// Nothing to lay out, and what has no size.
// CHECK: module attributes {pipe.network_bytes = 0 : i64, pipe.plan_bytes = 64 : i64, pipe.symmetric_bytes = 0 : i64}
// CHECK: pipe.buffer @empty : memref<0x6xi32> plan at 0
pipe.buffer @empty : memref<0x6xi32> plan
// CHECK: pipe.buffer @whole : memref<2x8xi32> plan at 0
pipe.buffer @whole : memref<2x8xi32> plan

// -----

// What is put from and to goes with the channel, where that leads to other nodes:
// 3 lines of @out, then @from and @to.
// CHECK: module attributes {pipe.network_bytes = 320 : i64, pipe.plan_bytes = 0 : i64, pipe.symmetric_bytes = 704 : i64}
// CHECK: pipe.buffer @near : memref<64xi8> symmetric at 512
pipe.buffer @near : memref<64xi8> symmetric
// CHECK: pipe.buffer @from : memref<1x64xi8> symmetric at 192
pipe.buffer @from : memref<1x64xi8> symmetric
// CHECK: pipe.buffer @a : memref<1x64xi8> symmetric at 576
pipe.buffer @a : memref<1x64xi8> symmetric
// CHECK: pipe.buffer @to : memref<1x64xi8> symmetric at 256
pipe.buffer @to : memref<1x64xi8> symmetric
// CHECK: pipe.buffer @b : memref<1x64xi8> symmetric at 640
pipe.buffer @b : memref<1x64xi8> symmetric
// CHECK: pipe.channel @up phase rows link scale_up lanes 1 depth 1 freed_by credit at 320
pipe.channel @up phase rows link scale_up lanes 1 depth 1 freed_by credit
// CHECK: pipe.channel @out phase rows link scale_out lanes 1 depth 1 freed_by credit at 0
pipe.channel @out phase rows link scale_out lanes 1 depth 1 freed_by credit
pipe.program @p() {
  %c0 = arith.constant 0 : index
  pipe.put @a[%c0] to %c0 @b[%c0] bytes 64 plus %c0 times 0 signal @up[%c0, %c0]
  pipe.put @from[%c0] to %c0 @to[%c0] bytes 64 plus %c0 times 0 signal @out[%c0, %c0]
  pipe.return
}
