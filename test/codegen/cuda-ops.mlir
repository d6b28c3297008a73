// RUN: fusco-opt %s --pipe-ops-to-cuda=threads-per-block=512 --canonicalize --cse -split-input-file | FileCheck %s
// RUN: fusco-opt %s --pipe-ops-to-cuda="threads-per-block=64 shared-bytes=128" --canonicalize --cse -split-input-file \
// RUN:   | FileCheck %s --check-prefix=SMALL
// RUN: not fusco-opt %s --pipe-ops-to-cuda="threads-per-block=48" -split-input-file 2>&1 | FileCheck %s --check-prefix=THREADS
// THREADS: 'threads-per-block' must be a positive multiple of 32, got 48
// RUN: not fusco-opt %s --pipe-ops-to-cuda="threads-per-block=512 shared-bytes=39" -split-input-file 2>&1 | FileCheck %s --check-prefix=BYTES
// BYTES: 'pipe.assign' op needs 40 bytes of shared memory to count 10 experts, but a block has 39; use fewer experts

//===----------------------------------------------------------------------===//
// Stores of scalars: one thread does those that follow each other
//===----------------------------------------------------------------------===//

// CHECK: llvm.mlir.global external @fusco_shared() {addr_space = 3 : i32, alignment = 128 : i64} : !llvm.array<0 x i8>
// CHECK-LABEL: pipe.program @stores
// CHECK-SAME: %[[A:[^:]*]]: memref<8xindex>
pipe.program @stores(%a: memref<8xindex> {pipe.name = "a"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %rank = pipe.rank
  // CHECK: %[[NEXT:.*]] = arith.addi
  // CHECK: nvvm.barrier0
  // CHECK: %[[THREAD:.*]] = arith.index_castui %{{.*}} : i32 to index
  // CHECK: %[[IS_FIRST:.*]] = arith.cmpi eq, %[[THREAD]], %c0
  // CHECK-NEXT: scf.if %[[IS_FIRST]] {
  // CHECK-NEXT:   memref.store %{{.*}}, %[[A]][%c0]
  // CHECK-NEXT:   memref.store %[[NEXT]], %[[A]][%c1]
  // CHECK-NEXT: }
  // CHECK-NEXT: nvvm.barrier0
  memref.store %rank, %a[%c0] : memref<8xindex>
  %next = arith.addi %rank, %c1 : index
  memref.store %next, %a[%c1] : memref<8xindex>
  // What is read in between parts them.
  // CHECK-NEXT: memref.load
  // CHECK-NEXT: nvvm.barrier0
  // CHECK-NEXT: scf.if %[[IS_FIRST]] {
  // CHECK-NEXT:   memref.store
  // CHECK-NEXT: }
  // CHECK-NEXT: nvvm.barrier0
  // CHECK-NEXT: pipe.return
  %read = memref.load %a[%next] : memref<8xindex>
  memref.store %read, %a[%c0] : memref<8xindex>
  pipe.return
}

// -----

// All blocks run a team: one thread of them stores.
pipe.program @p(%a: memref<8xindex> {pipe.name = "a"}) {
  pipe.return
}
// CHECK-LABEL: pipe.team @stores_of_rank
pipe.team @stores_of_rank of @p {
^bb0(%a: memref<8xindex>):
  %rank = pipe.rank
  // CHECK: pipe.meet
  // CHECK: nvvm.read.ptx.sreg.ctaid.x
  // CHECK: scf.if
  // CHECK-NEXT: memref.store
  // CHECK-NEXT: }
  // CHECK-NEXT: pipe.meet
  memref.store %rank, %a[%rank] : memref<8xindex>
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

// The threads of a block share the iterations; each does its own stores.
// CHECK-LABEL: pipe.program @for_threads
pipe.program @for_threads(%a: memref<?xindex> {pipe.name = "a"}) {
  %c0 = arith.constant 0 : index
  // CHECK: %[[SIZE:.*]] = pipe.rank
  %size = pipe.rank
  // CHECK: %[[THREAD:.*]] = arith.index_castui
  // CHECK: nvvm.barrier0
  // CHECK-NEXT: scf.for %[[I:.*]] = %[[THREAD]] to %[[SIZE]] step %c512 {
  // CHECK-NEXT:   memref.store %[[I]], %{{.*}}[%[[I]]]
  // CHECK-NEXT: }
  // CHECK-NEXT: nvvm.barrier0
  // CHECK-NEXT: pipe.return
  pipe.for_each %c0 to %size {
  ^bb0(%i: index):
    memref.store %i, %a[%i] : memref<?xindex>
  }
  pipe.return
}

// -----

// In a team, warp w of block b is number w * blocks + b; its lanes share inner
// iterations, and meet before and after them and its stores.
pipe.program @p(%x: memref<?x64xf32> {pipe.name = "x"}, %a: memref<?xindex> {pipe.name = "a"}) {
  pipe.return
}
// CHECK-LABEL: pipe.team @for_warps
pipe.team @for_warps of @p {
^bb0(%x: memref<?x64xf32>, %a: memref<?xindex>):
  %c0 = arith.constant 0 : index
  %size = pipe.rank
  // CHECK-DAG: %[[SIZE:.*]] = pipe.rank
  // CHECK-DAG: %[[BLOCKS_I32:.*]] = nvvm.read.ptx.sreg.nctaid.x
  // CHECK-DAG: %[[BLOCKS:.*]] = arith.index_castui %[[BLOCKS_I32]]
  // CHECK-DAG: %[[THREAD_I32:.*]] = nvvm.read.ptx.sreg.tid.x
  // CHECK-DAG: %[[THREAD:.*]] = arith.index_castui %[[THREAD_I32]]
  // CHECK-DAG: %[[WARP:.*]] = arith.divui %[[THREAD]], %c32
  // CHECK-DAG: %[[BLOCK_I32:.*]] = nvvm.read.ptx.sreg.ctaid.x
  // CHECK-DAG: %[[BLOCK:.*]] = arith.index_castui %[[BLOCK_I32]]
  // CHECK-DAG: %[[OFFSET:.*]] = arith.muli %[[WARP]], %[[BLOCKS]]
  // CHECK-DAG: %[[FIRST:.*]] = arith.addi %[[OFFSET]], %[[BLOCK]]
  // CHECK-DAG: %[[STRIDE:.*]] = arith.muli %[[BLOCKS]], %c16
  // CHECK: scf.for %[[I:.*]] = %[[FIRST]] to %[[SIZE]] step %[[STRIDE]] {
  pipe.for_each %c0 to %size {
  ^bb0(%i: index):
    pipe.zero_rows %x[%i, %size] : memref<?x64xf32>
    // CHECK: nvvm.bar.warp.sync
    // CHECK: %[[IS_FIRST:.*]] = arith.cmpi eq, %[[LANE:.*]], %c0
    // CHECK: scf.if %[[IS_FIRST]] {
    // CHECK-NEXT: memref.store
    // CHECK-NEXT: }
    // CHECK: nvvm.bar.warp.sync
    memref.store %i, %a[%i] : memref<?xindex>
    // CHECK: scf.for %[[J:.*]] = %[[LANE]] to %[[I]] step %c32 {
    // CHECK-NEXT: memref.store %[[J]]
    // CHECK-NEXT: }
    // CHECK: nvvm.bar.warp.sync
    pipe.for_each %c0 to %i {
    ^bb0(%j: index):
      memref.store %j, %a[%j] : memref<?xindex>
    }
  }
  pipe.return
}

// -----

// One block takes all stages in turn. A stage's loops are for its warps, and all
// of them meet afterwards.
pipe.program @p(%x: memref<?x64xf32> {pipe.name = "x"}) {
  pipe.return
}
// CHECK-LABEL: pipe.team @pipeline
pipe.team @pipeline of @p {
^bb0(%x: memref<?x64xf32>):
  %c0 = arith.constant 0 : index
  // CHECK: %[[CHUNKS:.*]] = pipe.rank
  %chunks = pipe.rank
  // A block does the work of the workers whose number is its own modulo all blocks.
  // CHECK: scf.for %[[WORKER:.*]] = %{{.*}} to %c1 step %{{.*}} {
  // CHECK: arith.subi %[[CHUNKS]], %[[WORKER]]
  // CHECK: %[[STEPS:.*]] = arith.addi %{{.*}}, %c3
  // CHECK: scf.for %[[STEP:.*]] = %c0 to %[[STEPS]] step %c1 {
  pipe.pipeline chunks %chunks {
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: index):
      // CHECK: scf.if
      // CHECK: %[[WARP:.*]] = arith.divui %{{.*}}, %c32
      // CHECK: nvvm.barrier0
      // CHECK: scf.for %{{.*}} = %[[WARP]] to %{{.*}} step %c16 {
      // CHECK: nvvm.barrier0
      pipe.for_each %c0 to %chunk {
      ^bb0(%i: index):
        pipe.zero_rows %x[%i, %chunk] : memref<?x64xf32>
      }
    }
    pipe.stage "forward" lag 3 {
    ^bb0(%chunk: index):
      // CHECK: %[[CHUNK:.*]] = arith.subi %[[STEP]], %c3
      // CHECK-DAG: %[[IS_STARTED:.*]] = arith.cmpi sge, %[[CHUNK]], %c0
      // CHECK-DAG: %[[IS_LEFT:.*]] = arith.cmpi slt, %[[CHUNK]], %{{.*}}
      // CHECK: %[[IS_ONE:.*]] = arith.andi %[[IS_STARTED]], %[[IS_LEFT]]
      // CHECK: scf.if %[[IS_ONE]] {
      pipe.fence
    }
  }
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

// Counts in shared memory behind the first bad index, or in the table itself
// where they do not fit.
// CHECK-LABEL: pipe.program @histogram
// CHECK-SAME: %[[IDS:[^:]*]]: memref<?x3xi64>
// CHECK-SAME: %[[TABLE:[^:]*]]: memref<33xi32>
// CHECK-SAME: attributes {pipe.shared_bytes = 148 : i64}
// SMALL-LABEL: pipe.program @histogram
// SMALL-SAME: attributes {pipe.shared_bytes = 16 : i64}
pipe.program @histogram(%ids: memref<?x3xi64> {pipe.name = "ids"}, %table: memref<33xi32> {pipe.name = "t"}) {
  // CHECK: %[[BAD:.*]] = llvm.mlir.addressof @fusco_shared : !llvm.ptr<3>
  // CHECK: %[[COUNTS:.*]] = llvm.getelementptr %[[BAD]][16]
  // CHECK: llvm.store %c-1_i32, %[[BAD]]
  // CHECK: scf.for {{.*}} to %c33 step %c512
  // CHECK: nvvm.barrier0
  // Four loads at once.
  // CHECK: scf.for {{.*}} step %c2048
  // CHECK-COUNT-4: memref.load %[[IDS]]
  // CHECK: %[[BIN:.*]] = llvm.getelementptr %[[COUNTS]]
  // CHECK-NEXT: llvm.atomicrmw add %[[BIN]], %c1_i32 monotonic : !llvm.ptr<3>, i32
  // CHECK: llvm.atomicrmw umin %[[BAD]], %{{.*}} monotonic : !llvm.ptr<3>, i32
  // CHECK: nvvm.barrier0
  // CHECK: scf.for {{.*}} to %c33 step %c512
  // CHECK: memref.store %{{.*}}, %[[TABLE]]
  // CHECK: %[[FIRST:.*]] = llvm.load %[[BAD]]
  // CHECK-NEXT: %[[RESULT:.*]] = arith.extsi %[[FIRST]] : i32 to i64
  // CHECK-NEXT: nvvm.barrier0
  // CHECK: pipe.fail_if %{{.*}}, invalid_routing(%[[RESULT]]
  // SMALL: llvm.inttoptr
  // SMALL: llvm.atomicrmw add %{{.*}} monotonic : !llvm.ptr<1>, i32
  %bad = pipe.histogram %ids into %table : memref<?x3xi64>, memref<33xi32>
  %c0 = arith.constant 0 : i64
  %is_bad = arith.cmpi sge, %bad, %c0 : i64
  pipe.fail_if %is_bad, invalid_routing(%bad, %c0, %c0)
  pipe.return
}

// -----

// A thread per expert, a thread per rank, a thread per expert.
// CHECK-LABEL: pipe.program @place
// CHECK-SAME: %[[COUNTS:[^:]*]]: memref<4x10xi32>
// CHECK-SAME: attributes {pipe.shared_bytes = 40 : i64}
pipe.program @place(%counts: memref<4x10xi32> {pipe.name = "c"}, %totals: memref<10xi32> {pipe.name = "t"},
                    %starts: memref<10xi32> {pipe.name = "s"}, %bases: memref<10xi32> {pipe.name = "b"},
                    %rows: memref<4xi32> {pipe.name = "r"}) {
  %rank = pipe.rank
  // CHECK: nvvm.barrier0
  // CHECK: scf.for %[[E:.*]] = %{{.*}} to %c10 step %c512
  // CHECK: scf.for %[[SOURCE:.*]] = %c0 to %c4 step %c1
  // CHECK: memref.load %[[COUNTS]][%[[SOURCE]], %[[E]]]
  // CHECK: nvvm.barrier0
  // CHECK: scf.for %{{.*}} to %c4 step %c512
  // CHECK: nvvm.barrier0
  // CHECK: scf.for %{{.*}} to %c10 step %c512
  // CHECK: nvvm.barrier0
  // CHECK-NEXT: pipe.return
  pipe.place %counts of %rank into (%totals, %starts, %bases, %rows) align 4
    : memref<4x10xi32> into (memref<10xi32>, memref<10xi32>, memref<10xi32>, memref<4xi32>)
  pipe.return
}

// -----

pipe.program @p(%ids: memref<?x3xi32> {pipe.name = "ids"}, %bases: memref<10xi32> {pipe.name = "b"},
                %fanout: memref<64xi32> {pipe.name = "f"}, %table: memref<64x3xi32> {pipe.name = "t"},
                %weights: memref<64x3xf32> {pipe.name = "w"}, %stats: memref<8xi64> {pipe.name = "s"}) {
  pipe.return
}
// Cursors of 16 warps; of as many as fit.
// CHECK-LABEL: pipe.team @assign
// SMALL-LABEL: pipe.team @assign
pipe.team @assign of @p {
^bb0(%ids: memref<?x3xi32>, %bases: memref<10xi32>, %fanout: memref<64xi32>, %table: memref<64x3xi32>,
     %weights: memref<64x3xf32>, %stats: memref<8xi64>):
  %rank = pipe.rank
  // Bases, and zeros for the warps after the first.
  // CHECK: nvvm.barrier0
  // CHECK: scf.for {{.*}} to %c10 step %c512
  // CHECK: scf.for {{.*}} to %c160 step %c512
  // CHECK: nvvm.barrier0
  // What lower blocks have, what each warp has, and the sums of these.
  // CHECK: scf.for {{.*}} step %c2048
  // CHECK: llvm.atomicrmw add
  // CHECK: scf.for {{.*}} step %c128
  // CHECK: llvm.atomicrmw add
  // CHECK: nvvm.barrier0
  // CHECK: scf.for {{.*}} to %c10 step %c512
  // CHECK-NEXT: scf.for {{.*}} = %c0 to %c16 step %c1
  // CHECK: pipe.meet
  // CHECK: %[[SAME:.*]] = llvm.call_intrinsic "llvm.nvvm.match.any.sync.i32"
  // CHECK: nvvm.bar.warp.sync
  // CHECK: scf.if
  // CHECK-NEXT: llvm.intr.ctpop(%[[SAME]])
  // CHECK: nvvm.bar.warp.sync
  // CHECK: scf.for {{.*}} = %c0 to %c3 step %c1
  // CHECK-COUNT-5: nvvm.redux.sync add
  // CHECK-COUNT-5: llvm.atomicrmw add %{{.*}} monotonic : !llvm.ptr<1>, i64
  // CHECK: } {pipe.shared_bytes = 640 : i64}
  // SMALL: } {pipe.shared_bytes = 80 : i64}
  pipe.assign %ids of %rank at %bases into (%fanout, %table, %table, %weights, %stats)
    ranks 4 per_node 2 scale_out node scale_up rank
    : memref<?x3xi32> at memref<10xi32>
    into (memref<64xi32>, memref<64x3xi32>, memref<64x3xi32>, memref<64x3xf32>, memref<8xi64>)
  pipe.return
}
