// RUN: fusco-opt %s --pipe-ops-to-cuda=threads-per-block=512 --canonicalize --cse -split-input-file | FileCheck %s
// RUN: fusco-opt %s --pipe-ops-to-cuda=shared-bytes=1024 -split-input-file | FileCheck %s --check-prefix=SMALL

//===----------------------------------------------------------------------===//
// Bulk copies: rows as they are, of warps
//===----------------------------------------------------------------------===//

// Shared memory holds 16 mbarriers, then 16 slots of 14336 bytes, set up around the
// loop: where that is a team's, its blocks meet later.
// CHECK-LABEL: pipe.program @copy_7168
pipe.program @copy_7168(%x: memref<?x7168xbf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                        %table: memref<8x2xi32> {pipe.name = "c"}) {
  pipe.return
}
// CHECK: pipe.team @copy_7168_of_rank of @copy_7168
// Without room there is none.
// SMALL: pipe.team @copy_7168_of_rank
// SMALL-NOT: cp.async
// SMALL-NOT: pipe.shared_bytes
pipe.team @copy_7168_of_rank of @copy_7168 {
^bb0(%x: memref<?x7168xbf16>, %addresses: memref<4xi64>, %table: memref<8x2xi32>, %tokens: index):
  // CHECK-DAG: %[[SHARED:.*]] = llvm.mlir.addressof @fusco_shared
  // CHECK: nvvm.barrier0
  // CHECK: %[[IS_FIRST:.*]] = arith.cmpi eq, %[[LANE:.*]], %c0
  // CHECK: scf.if %[[IS_FIRST]] {
  // CHECK: nvvm.mbarrier.init.shared %{{.*}}, %c1_i32
  // CHECK: fence.mbarrier_init.release.cluster
  // CHECK: nvvm.bar.warp.sync
  // CHECK-NEXT: "fence.proxy.async;"
  // CHECK: scf.for %[[TOKEN:.*]] = %{{.*}} to
  // A token without destinations is not read.
  // CHECK: %[[SOURCE:.*]] = llvm.inttoptr
  // CHECK: %[[HAS_SOME:.*]] = arith.cmpi sgt, %[[TOKEN]], %c0
  // CHECK-NEXT: scf.if %[[HAS_SOME]] {
  // CHECK: %[[MBARRIER:.*]] = llvm.getelementptr %[[SHARED]]
  // CHECK: %[[SLOTS:.*]] = llvm.getelementptr %[[SHARED]]
  // CHECK: %[[SLOT:.*]] = llvm.getelementptr %[[SLOTS]][128]
  // The slot is free, the row is on its way, the row is there.
  // CHECK: nvvm.cp.async.bulk.wait_group 0 {read}
  // CHECK-NEXT: nvvm.bar.warp.sync
  // CHECK-NEXT: scf.if %[[IS_FIRST]] {
  // CHECK-NEXT: "mbarrier.arrive.shared::cta.b64 _, [$0];", "l,~{memory}" %[[MBARRIER]]
  // CHECK-NEXT: "mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", "l,r,~{memory}" %[[MBARRIER]], %c14336_i32
  // CHECK-NEXT: "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], $2, [$3];"
  // CHECK-SAME: %[[SLOT]], %[[SOURCE]], %c14336_i32, %[[MBARRIER]]
  // CHECK-NEXT: }
  // CHECK-NEXT: nvvm.bar.warp.sync
  // CHECK-NEXT: scf.while
  // CHECK-NEXT: mbarrier.try_wait.parity.shared::cta.b64 p, [$1], 1;
  // A lane for each destination.
  // CHECK: scf.for %[[I:.*]] = %{{.*}} to %{{.*}} step %c32 {
  // CHECK: memref.load %{{.*}}[%[[TOKEN]], %[[I]]]
  // CHECK: %[[DESTINATION:.*]] = llvm.inttoptr
  // CHECK: "cp.async.bulk.global.shared::cta.bulk_group [$0], [$1], $2;"
  // CHECK-SAME: %[[DESTINATION]], %[[SLOT]], %c14336_i32
  // CHECK-NEXT: }
  // CHECK-NEXT: nvvm.cp.async.bulk.commit.group
  // All rows are there before anything is signalled.
  // CHECK: nvvm.cp.async.bulk.wait_group 0{{$}}
  // CHECK-NEXT: "fence.proxy.async;"
  // CHECK: nvvm.mbarrier.inval.shared
  // CHECK-NOT: nvvm.barrier0
  // CHECK: pipe.shared_bytes = 229504 : i64
  %c0 = arith.constant 0 : index
  pipe.for_each %c0 to %tokens {
  ^bb0(%token: index):
    pipe.copy_row %x[%token] to %addresses at (%table, %table)[%token, %c0 to %token] as memref<?x7168xbf16>
      : memref<?x7168xbf16> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  }
  pipe.return
}

// -----

// A row of 32768 bytes goes in three pieces of at most 10928. A copy of a smaller one
// in the same loop has a slot of the same size. In a program the block meets behind the
// copies.
// CHECK-LABEL: pipe.program @store_rows
// CHECK-SAME: pipe.shared_bytes = 176256 : i64
pipe.program @store_rows(%x: memref<?x16384xbf16> {pipe.name = "x"}, %y: memref<?x64xf32> {pipe.name = "y"}) {
  %c0 = arith.constant 0 : index
  %rows = memref.dim %x, %c0 : memref<?x16384xbf16>
  // CHECK-COUNT-1: nvvm.mbarrier.init.shared
  // CHECK: scf.for %[[OFFSET:.*]] = %c0 to %c32768 step %c10928 {
  // CHECK: %[[REST:.*]] = arith.subi %c32768, %[[OFFSET]]
  // CHECK: %[[BYTES:.*]] = arith.minsi %[[REST]], %c10928
  // CHECK: %[[SIZE:.*]] = arith.index_cast %[[BYTES]] : index to i32
  // CHECK: cp.async.bulk.shared::cluster.global{{.*}}, %[[SIZE]],
  // One destination: the first lane's.
  // CHECK: scf.for %{{.*}} = %{{.*}} to %c1 step %c32 {
  // CHECK: cp.async.bulk.global.shared::cta{{.*}}, %[[SIZE]] :
  // CHECK: cp.async.bulk.shared::cluster.global{{.*}}, %c256_i32,
  // CHECK: cp.async.bulk.global.shared::cta{{.*}}, %c256_i32 :
  // CHECK: nvvm.cp.async.bulk.wait_group 0{{$}}
  // CHECK: nvvm.mbarrier.inval.shared
  // CHECK: nvvm.barrier0
  // CHECK: pipe.return
  pipe.for_each %c0 to %rows {
  ^bb0(%row: index):
    pipe.store_row %x[%row] to %x[%c0] : memref<?x16384xbf16> to memref<?x16384xbf16>
    pipe.store_row %y[%row] to %y[%c0] : memref<?x64xf32> to memref<?x64xf32>
  }
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Copies through registers
//===----------------------------------------------------------------------===//

// 14 bytes are no bulk copy: a lane takes 2. The last lanes read what the first reads.
// CHECK-LABEL: pipe.program @copy_7
// CHECK-NOT: pipe.shared_bytes
pipe.program @copy_7(%x: memref<?x7xbf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                     %table: memref<8x2xi32> {pipe.name = "c"}) {
  %c0 = arith.constant 0 : index
  %rows = memref.dim %x, %c0 : memref<?x7xbf16>
  // CHECK-NOT: cp.async
  // CHECK: %[[IS_INSIDE:.*]] = arith.cmpi slt, %[[LANE:.*]], %c7
  // CHECK: %[[COLUMN:.*]] = arith.select %[[IS_INSIDE]], %[[LANE]], %c0
  // CHECK: %[[BITS:.*]] = llvm.load %{{.*}} {alignment = 2 : i64} : !llvm.ptr<1> -> i16
  // CHECK: scf.for
  // CHECK: scf.if %[[IS_INSIDE]]
  // CHECK: llvm.store %[[BITS]], %{{.*}} {alignment = 2 : i64} : i16
  pipe.for_each %c0 to %rows {
  ^bb0(%row: index):
    pipe.copy_row %x[%row] to %addresses at (%table, %table)[%row, %c0 to %row] as memref<?x7xbf16>
      : memref<?x7xbf16> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  }
  pipe.return
}

// -----

// A block has no slot, and shares the row out among all its threads.
// CHECK-LABEL: pipe.program @copy_by_block
pipe.program @copy_by_block(%x: memref<?x2048xbf16> {pipe.name = "x"}) {
  %row = pipe.rank
  // CHECK: %[[THREAD:.*]] = arith.index_castui
  // CHECK: %[[IS_INSIDE:.*]] = arith.cmpi slt, %[[THREAD]], %c256
  // CHECK: %[[BITS:.*]] = llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xi32>
  // CHECK: scf.if %[[IS_INSIDE]]
  // CHECK: llvm.store %[[BITS]], %{{.*}} {alignment = 16 : i64} : vector<4xi32>
  // CHECK: nvvm.barrier0
  // CHECK-NEXT: pipe.return
  %c0 = arith.constant 0 : index
  pipe.store_row %x[%row] to %x[%c0] : memref<?x2048xbf16> to memref<?x2048xbf16>
  pipe.return
}

// -----

// Another type on the way, and a weight: in float32, rounded once by the hardware, two
// columns at a time.
// CHECK-LABEL: pipe.program @copy_converting
pipe.program @copy_converting(%x: memref<?x4096xf32> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                              %table: memref<8x2xi32> {pipe.name = "c"}, %weights: memref<8x2xf32> {pipe.name = "d"}) {
  %c0 = arith.constant 0 : index
  %rows = memref.dim %x, %c0 : memref<?x4096xf32>
  // 1024 pieces of 16 bytes: 8 steps of 4 for each of 32 lanes, and no rest.
  // CHECK: scf.for %{{.*}} = %c0 to %c1024 step %c128 {
  // CHECK: %[[VALUE:.*]] = llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xf32>
  // CHECK-COUNT-3: llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xf32>
  // CHECK-NOT: llvm.load
  // CHECK: scf.for
  // CHECK: %[[SCALAR:.*]] = memref.load %{{.*}} : memref<8x2xf32>
  // CHECK: %[[WEIGHT:.*]] = vector.broadcast %[[SCALAR]]
  // CHECK: %[[PRODUCT:.*]] = arith.mulf %[[WEIGHT]], %[[VALUE]]
  // CHECK-DAG: %[[LOW:.*]] = llvm.extractelement %[[PRODUCT]][%c0_i32
  // CHECK-DAG: %[[HIGH:.*]] = llvm.extractelement %[[PRODUCT]][%c1_i32
  // CHECK: %[[HALVES:.*]] = llvm.call_intrinsic "llvm.nvvm.ff2bf16x2.rn"(%[[HIGH]], %[[LOW]])
  // CHECK: llvm.bitcast %[[HALVES]] : vector<2xbf16> to i32
  // CHECK-COUNT-4: llvm.store %{{.*}} {alignment = 8 : i64} : vector<2xi32>
  // CHECK-NOT: llvm.load
  // CHECK: pipe.return
  pipe.for_each %c0 to %rows {
  ^bb0(%row: index):
    pipe.copy_row %x[%row] to %addresses at (%table, %table) weights %weights[%row, %c0 to %row]
      as memref<?x4096xbf16>
      : memref<?x4096xf32> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>) weights memref<8x2xf32>
  }
  pipe.return
}

// -----

// What is only widened is exact but for the one NaN.
// CHECK-LABEL: pipe.program @store_wider
pipe.program @store_wider(%x: memref<?x256xf16> {pipe.name = "x"}, %wide: memref<?x256xf32> {pipe.name = "y"}) {
  %c0 = arith.constant 0 : index
  %rows = memref.dim %x, %c0 : memref<?x256xf16>
  // CHECK: %[[NAN:.*]] = arith.constant dense<2147483647> : vector<8xi32>
  // CHECK: %[[HALF:.*]] = llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<8xf16>
  // CHECK: %[[WIDE:.*]] = arith.extf %[[HALF]]
  // CHECK: %[[IS_NAN:.*]] = arith.cmpf uno, %[[WIDE]], %[[WIDE]]
  // CHECK: %[[BITS:.*]] = arith.bitcast %[[WIDE]]
  // CHECK: %[[RESULT:.*]] = arith.select %[[IS_NAN]], %[[NAN]], %[[BITS]]
  // CHECK: llvm.store %[[RESULT]], %{{.*}} {alignment = 32 : i64} : vector<8xi32>
  pipe.for_each %c0 to %rows {
  ^bb0(%row: index):
    pipe.store_row %x[%row] to %wide[%row] : memref<?x256xf16> to memref<?x256xf32>
  }
  pipe.return
}

// -----

// Consecutive rows are one run of bytes, which all threads of the rank share; its
// blocks meet where the team says so.
// CHECK-LABEL: pipe.program @rows_of_rank
pipe.program @rows_of_rank(%x: memref<?x7xf32> {pipe.name = "x"}) {
  pipe.return
}
// CHECK: pipe.team @copy_rows of @rows_of_rank
// CHECK: ^bb0(%{{.*}}: memref<?x7xf32>, %[[ADDRESS:.*]]: i64, %[[COUNT:.*]]: index):
pipe.team @copy_rows of @rows_of_rank {
^bb0(%x: memref<?x7xf32>, %address: i64, %count: index):
  // CHECK: %[[PIECES:.*]] = arith.muli %[[COUNT]], %c7
  // CHECK: %[[FIRST:.*]] = arith.muli %{{.*}}, %c512
  // CHECK: %[[MEMBER:.*]] = arith.addi %[[FIRST]], %{{.*}}
  // CHECK: %[[MEMBERS:.*]] = arith.muli %[[BLOCKS:.*]], %c512
  // CHECK: %[[STEP:.*]] = arith.muli %[[BLOCKS]], %c2048
  // CHECK: scf.for %{{.*}} = %c0 to %[[WHOLE:.*]] step %[[STEP]] {
  // CHECK-COUNT-4: llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr<1> -> vector<1xi32>
  // CHECK-COUNT-4: llvm.store %{{.*}} {alignment = 4 : i64} : vector<1xi32>
  // CHECK: scf.for %{{.*}} = %[[WHOLE]] to %[[PIECES]] step %[[MEMBERS]] {
  // CHECK: llvm.load
  // CHECK: llvm.store
  // CHECK-NOT: nvvm.barrier0
  %c0 = arith.constant 0 : index
  pipe.copy_rows %x[%c0] to %address[%c0] count %count : memref<?x7xf32>
  pipe.return
}

// -----

// CHECK-LABEL: pipe.program @zero_rows
pipe.program @zero_rows(%x: memref<?x24xbf16> {pipe.name = "x"}, %out: memref<2xi64> {pipe.name = "b"}) {
  // CHECK-DAG: %[[ZERO:.*]] = arith.constant dense<0> : vector<4xi32>
  // CHECK: %[[FROM:.*]] = pipe.rank
  // CHECK: %[[TO:.*]] = memref.dim
  %from = pipe.rank
  %c0 = arith.constant 0 : index
  %to = memref.dim %x, %c0 : memref<?x24xbf16>
  // CHECK: %[[ROWS:.*]] = arith.subi %[[TO]], %[[FROM]]
  // CHECK: %[[PIECES:.*]] = arith.muli %[[ROWS]], %c3
  // CHECK: %[[THREAD:.*]] = arith.index_castui
  // CHECK: scf.for %{{.*}} = %[[THREAD]] to %[[PIECES]] step %c512 {
  // CHECK: llvm.store %[[ZERO]], %{{.*}} {alignment = 16 : i64}
  // CHECK: nvvm.barrier0
  pipe.zero_rows %x[%from, %to] : memref<?x24xbf16>
  // CHECK: %[[OFFSET:.*]] = arith.muli %{{.*}}, %c48_i64
  // CHECK: arith.addi %{{.*}}, %{{.*}} : i64
  %address = pipe.row_address %x[%to] : memref<?x24xbf16>
  memref.store %address, %out[%c0] : memref<2xi64>
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Sums of rows: the tree is the CPU's
//===----------------------------------------------------------------------===//

// One rank: a plain chain of fma from +0. A lane holds a descriptor; four pieces of a
// row are under way while those of the row before it are added.
// CHECK-LABEL: pipe.program @reduce_one_rank
pipe.program @reduce_one_rank(%out: memref<?x1024xbf16> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                              %table: memref<8x2xi32> {pipe.name = "c"}, %weights: memref<8x2xf32> {pipe.name = "d"}) {
  %c0 = arith.constant 0 : index
  %rows = memref.dim %out, %c0 : memref<?x1024xbf16>
  // CHECK-DAG: %[[START:.*]] = arith.constant dense<0.000000e+00> : vector<8xf32>
  // CHECK: scf.for %[[TOKEN:.*]] = %{{.*}} to %{{.*}} step %c16 {
  // CHECK: %[[IS_ONE:.*]] = arith.cmpi slt, %[[LANE:.*]], %[[TOKEN]]
  // CHECK: %[[HELD:.*]]:2 = scf.if %[[IS_ONE]] -> (i64, f32) {
  // CHECK: memref.load %{{.*}}[%[[TOKEN]], %[[LANE]]] : memref<8x2xi32>
  // CHECK: memref.load %{{.*}}[%[[TOKEN]], %[[LANE]]] : memref<8x2xf32>
  // CHECK: %[[COUNT:.*]] = arith.minsi %[[TOKEN]], %c32
  // CHECK: scf.if
  // CHECK-COUNT-4: llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<8xi16>
  // CHECK: %[[SUMS:.*]]:8 = scf.for %[[I:.*]] = %c0 to %[[COUNT]] step %c1 iter_args(
  // CHECK-SAME: %[[SUM:[^ ]*]] = %[[START]], %{{[^ ]*}} = %[[START]], %{{[^ ]*}} = %[[START]], %{{[^ ]*}} = %[[START]],
  // CHECK-SAME: %[[BITS:[^ ]*]] = %
  // CHECK: scf.if
  // CHECK-COUNT-4: llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<8xi16>
  // CHECK: arith.extui %[[BITS]]
  // CHECK: %[[AT:.*]] = arith.index_cast %[[I]] : index to i32
  // CHECK: %[[SCALAR:.*]] = nvvm.shfl.sync idx %c-1_i32, %[[HELD]]#1, %[[AT]], %c31_i32
  // CHECK: %[[WEIGHT:.*]] = vector.broadcast %[[SCALAR]]
  // CHECK: math.fma %[[WEIGHT]], %{{.*}}, %[[SUM]]
  // CHECK-COUNT-3: math.fma %[[WEIGHT]]
  // CHECK-NOT: arith.addf
  // CHECK: llvm.extractelement %[[SUMS]]#0[%c1_i32
  // CHECK-COUNT-16: "llvm.nvvm.ff2bf16x2.rn"
  // CHECK-COUNT-4: llvm.store %{{.*}} {alignment = 16 : i64} : vector<4xi32>
  // CHECK: pipe.return
  pipe.for_each %c0 to %rows {
  ^bb0(%token: index):
    pipe.reduce_row %addresses at (%table, %table) weights %weights[%token, %c0 to %token]
      as memref<?x1024xbf16> into %out[%token] ranks 1 per_node 1
      : memref<1xi64> at (memref<8x2xi32>, memref<8x2xi32>)
      weights memref<8x2xf32> into memref<?x1024xbf16>
  }
  pipe.return
}

// -----

// Two nodes: three levels, of which fewer pieces fit into registers. 36 columns are 9
// pieces of 4, for the first 9 lanes.
// CHECK-LABEL: pipe.program @reduce_two_nodes
pipe.program @reduce_two_nodes(%out: memref<?x36xf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                               %table: memref<8x2xi32> {pipe.name = "c"}) {
  %c0 = arith.constant 0 : index
  %rows = memref.dim %out, %c0 : memref<?x36xf16>
  // CHECK-DAG: %[[ONE:.*]] = arith.constant dense<1.000000e+00> : vector<4xf32>
  // CHECK-DAG: %[[PLUS:.*]] = arith.constant dense<0.000000e+00> : vector<4xf32>
  // CHECK-DAG: %[[MINUS:.*]] = arith.constant dense<-0.000000e+00> : vector<4xf32>
  // CHECK: %[[NEUTRAL:.*]] = arith.select %{{.*}} : f32
  // Where a descriptor ends a branch is found once, by its lane.
  // CHECK: %[[HELD:.*]]:2 = scf.if %{{.*}} -> (i64, i32) {
  // CHECK: %[[IS_INSIDE:.*]] = arith.cmpi slt, %[[LANE:.*]], %c9
  // CHECK: %[[START:.*]] = vector.broadcast %[[NEUTRAL]]
  // CHECK: scf.for {{.*}} iter_args(%[[RANK:[^ ]*]] = %[[PLUS]], %[[NODE:[^ ]*]] = %[[MINUS]], %[[ALL:[^ ]*]] = %[[START]],
  // CHECK: %[[SUM:.*]] = math.fma %[[ONE]], %{{.*}}, %[[RANK]]
  // CHECK: nvvm.shfl.sync idx %c-1_i32, %[[HELD]]#1
  // CHECK: scf.if
  // CHECK-NEXT: %[[NODE_SUM:.*]] = arith.addf %[[NODE]], %[[SUM]]
  // CHECK: scf.if
  // CHECK-NEXT: arith.addf %[[ALL]], %[[NODE_SUM]]
  // CHECK: "llvm.nvvm.ff2f16x2.rn"
  // CHECK: scf.if %[[IS_INSIDE]]
  // CHECK: llvm.store %{{.*}} {alignment = 8 : i64} : vector<2xi32>
  pipe.for_each %c0 to %rows {
  ^bb0(%token: index):
    pipe.reduce_row %addresses at (%table, %table)[%token, %c0 to %token]
      as memref<?x36xf16> into %out[%token] ranks 4 per_node 2
      : memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>) into memref<?x36xf16>
  }
  pipe.return
}

// -----

// More descriptors than lanes: a second set of them follows the first.
// CHECK-LABEL: pipe.program @reduce_40_descriptors
pipe.program @reduce_40_descriptors(%out: memref<?x1xf32> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                                    %table: memref<8x40xi32> {pipe.name = "c"}) {
  %c0 = arith.constant 0 : index
  %rows = memref.dim %out, %c0 : memref<?x1xf32>
  // CHECK: scf.for %[[TOKEN:.*]] = %{{.*}} to %{{.*}} step %c16 {
  // CHECK: %[[FIRST:.*]] = arith.minsi %[[TOKEN]], %c32
  // CHECK: arith.addi %{{.*}}, %c32
  // CHECK: %[[REST:.*]] = arith.subi %[[TOKEN]], %c32
  // CHECK: %[[SECOND:.*]] = arith.minsi %[[REST]], %c32
  // CHECK: %[[SUMS:.*]]:2 = scf.for %{{.*}} = %c0 to %[[FIRST]] step %c1
  // CHECK: scf.for %{{.*}} = %c0 to %[[SECOND]] step %c1 iter_args(%{{.*}} = %[[SUMS]]#0,
  pipe.for_each %c0 to %rows {
  ^bb0(%token: index):
    pipe.reduce_row %addresses at (%table, %table)[%token, %c0 to %token]
      as memref<?x1xf32> into %out[%token] ranks 1 per_node 1
      : memref<1xi64> at (memref<8x40xi32>, memref<8x40xi32>) into memref<?x1xf32>
  }
  pipe.return
}

// -----

// Float8 with scales: a lane of the warp holds the address of a descriptor's scales
// too, and a scale is under way with its 16 columns. Sums of ranks are rounded to bf16.
// CHECK-LABEL: pipe.program @reduce_scaled
pipe.program @reduce_scaled(%out: memref<?x512xbf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                            %table: memref<8x2xi32> {pipe.name = "c"}, %scales: memref<4xi64> {pipe.name = "s"}) {
  %c0 = arith.constant 0 : index
  %rows = memref.dim %out, %c0 : memref<?x512xbf16>
  // CHECK: %[[HELD:.*]]:3 = scf.if %{{.*}} -> (i64, i32, i64) {
  // CHECK: %[[ELEMENTS:.*]]:2 = scf.if %{{.*}} -> (vector<16xi8>, f32) {
  // CHECK: llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<16xi8>
  // CHECK: llvm.load %{{.*}} : !llvm.ptr<1> -> f32
  // CHECK: scf.for {{.*}} iter_args(%{{.*}}, %{{.*}}, %[[BITS:[^ ]*]] = %[[ELEMENTS]]#0, %[[SCALAR:[^ ]*]] = %[[ELEMENTS]]#1)
  // CHECK: scf.if %{{.*}} -> (vector<16xi8>, f32) {
  // CHECK: arith.extui %[[BITS]]
  // CHECK: %[[SCALE:.*]] = vector.broadcast %[[SCALAR]]
  // CHECK: %[[VALUE:.*]] = arith.mulf %{{.*}}, %[[SCALE]]
  // CHECK: math.fma %{{.*}}, %[[VALUE]]
  // CHECK: scf.if
  // CHECK: %[[PARTIAL:.*]] = arith.bitcast %{{.*}} : vector<16xi32> to vector<16xf32>
  // CHECK-NEXT: arith.addf %{{.*}}, %[[PARTIAL]]
  pipe.for_each %c0 to %rows {
  ^bb0(%token: index):
    pipe.reduce_row %addresses at (%table, %table)[%token, %c0 to %token]
      as memref<?x512xf8E4M3FN> scaled %scales as memref<?x4xf32> block 128
      into %out[%token] ranks 4 per_node 4 partials bf16
      : memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>) scaled memref<4xi64> into memref<?x512xbf16>
  }
  pipe.return
}

// -----

// Partial sums are added from -0, or give +0 if there are none.
// CHECK-LABEL: pipe.program @merge_row
// CHECK-SAME: %[[ADDRESSES:[^:]*]]: memref<4xi64>
pipe.program @merge_row(%out: memref<?x7xbf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"}) {
  // CHECK-DAG: %[[PLUS:.*]] = arith.constant 0.000000e+00 : f32
  // CHECK-DAG: %[[MINUS:.*]] = arith.constant -0.000000e+00 : f32
  // CHECK: %[[COUNT:.*]] = pipe.rank
  %count = pipe.rank
  // CHECK: %[[SCALAR:.*]] = arith.select %{{.*}}, %[[PLUS]], %[[MINUS]]
  // CHECK: %[[START:.*]] = vector.broadcast %[[SCALAR]]
  // CHECK: scf.for %[[I:.*]] = %c0 to %[[COUNT]] step %c1 iter_args(%[[SUM:.*]] = %[[START]], %[[VALUE:.*]] = %
  // CHECK: memref.load %[[ADDRESSES]]
  // CHECK: arith.addf %[[SUM]], %[[VALUE]]
  // An odd column is the low half of a pair.
  // CHECK: %[[PAIR:.*]] = llvm.call_intrinsic "llvm.nvvm.ff2bf16x2.rn"(%[[ODD:.*]], %[[ODD]])
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : i16
  // CHECK: nvvm.barrier0
  pipe.merge_row %addresses count %count into %out[%count] : memref<4xi64> into memref<?x7xbf16>
  pipe.return
}

// -----

// The 32 lanes of the order are those of a warp; both of a pair add the same, so that
// all get the result.
// CHECK-LABEL: pipe.program @dot_row
pipe.program @dot_row(%x: memref<?x71xbf16> {pipe.name = "x"}, %out: memref<2xf32> {pipe.name = "b"},
                      %addresses: memref<2xi64> {pipe.name = "c"}) {
  // CHECK-DAG: %[[NAN:.*]] = arith.constant 0x7FFFFFFF : f32
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  // CHECK: %[[SUM:.*]] = scf.for %{{.*}} = %{{.*}} to %c71 step %c32 iter_args
  // CHECK: math.fma
  // CHECK: %[[OWN:.*]] = llvm.extractelement %[[SUM]]
  // CHECK: %[[OTHER:.*]] = nvvm.shfl.sync bfly %c-1_i32, %[[OWN]], %c16_i32, %c31_i32
  // CHECK: %[[PAIR:.*]] = arith.addf %[[OWN]], %[[OTHER]]
  // CHECK: nvvm.shfl.sync bfly %c-1_i32, %[[PAIR]], %c8_i32
  // CHECK: nvvm.shfl.sync bfly {{.*}} %c4_i32
  // CHECK: nvvm.shfl.sync bfly {{.*}} %c2_i32
  // CHECK: nvvm.shfl.sync bfly {{.*}} %c1_i32
  // CHECK: %[[DOT:.*]] = arith.addf
  // CHECK: %[[IS_NAN:.*]] = arith.cmpf uno, %[[DOT]], %[[DOT]]
  // CHECK: arith.select %[[IS_NAN]], %[[NAN]], %[[DOT]]
  pipe.for_each %c0 to %c2 {
  ^bb0(%i: index):
    %address = memref.load %addresses[%i] : memref<2xi64>
    %dot = pipe.dot_row %x[%i] with %address as memref<?x71xf32> : memref<?x71xbf16>
    memref.store %dot, %out[%i] : memref<2xf32>
  }
  pipe.return
}
