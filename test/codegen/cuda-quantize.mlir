// Rows quantised by warps. What they become is a matter of test/reference and test/e2e.
// RUN: fusco-opt %s --pipe-ops-to-cuda=threads-per-block=512 --canonicalize --cse -split-input-file \
// RUN:   | FileCheck %s --implicit-check-not=pipe.quantize_row --implicit-check-not=pipe.worker

// A warp takes a token, in memory of its own among the rank's 16 blocks of 16 warps.
// CHECK-LABEL: pipe.program @tokens
pipe.program @tokens(%x: memref<?x2048xbf16> {pipe.name = "x"}, %scratch: memref<256x2112xi8> {pipe.name = "s"},
                     %addresses: memref<4xi64> {pipe.name = "a"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  pipe.return
}
// CHECK: pipe.team @tokens_of_rank of @tokens
pipe.team @tokens_of_rank of @tokens {
^bb0(%x: memref<?x2048xbf16>, %scratch: memref<256x2112xi8>, %addresses: memref<4xi64>, %table: memref<8x2xi32>, %tokens: index):
  %c0 = arith.constant 0 : index
  // CHECK-DAG: %[[LANE:.*]] = arith.andi %[[THREAD:.*]], %c31
  // CHECK: %[[IS_FIRST:.*]] = arith.cmpi eq, %[[LANE]], %c0
  // CHECK: %[[CTA:.*]] = nvvm.read.ptx.sreg.ctaid.x
  // CHECK: %[[BLOCK:.*]] = arith.index_castui %[[CTA]]
  // CHECK: %[[WARP:.*]] = arith.divui %[[THREAD]], %c32
  // CHECK: scf.for %[[TOKEN:.*]] = %{{.*}} to
  // CHECK-NEXT: %[[WARPS_BEFORE:.*]] = arith.muli %[[BLOCK]], %c16
  // CHECK-NEXT: %[[WORKER:.*]] = arith.addi %[[WARPS_BEFORE]], %[[WARP]]
  // CHECK-NEXT: %[[DATA:.*]] = pipe.view %{{.*}}[%[[WORKER]]] at 0
  // CHECK-NEXT: %[[SCALES:.*]] = pipe.view %{{.*}}[%[[WORKER]]] at 2048
  // The row before has been read.
  // CHECK-NEXT: nvvm.bar.warp.sync
  // CHECK: memref.extract_aligned_pointer_as_index %[[DATA]]
  // CHECK: memref.extract_aligned_pointer_as_index %[[SCALES]]
  // A block at a time, 4 elements a lane. All lanes have the largest magnitude of all.
  // CHECK: scf.for %{{.*}} = %{{.*}} to %c16 step %c1 {
  // CHECK: %[[OWN:.*]] = scf.for %{{.*}} = %[[FIRST:.*]] to %[[END:.*]] step %c128 iter_args(%{{.*}} = %c0_i16)
  // CHECK: llvm.load %{{.*}} {alignment = 8 : i64} : !llvm.ptr<1> -> vector<4xi16>
  // CHECK: nvvm.bar.warp.sync
  // CHECK: %[[M16:.*]] = arith.extui %[[OWN]] : i16 to i32
  // CHECK: nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c16_i32
  // CHECK: %[[M8:.*]] = arith.maxsi %[[M16]], %
  // CHECK: nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c8_i32
  // CHECK: %[[M4:.*]] = arith.maxsi %[[M8]], %
  // CHECK: nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c4_i32
  // CHECK: %[[M2:.*]] = arith.maxsi %[[M4]], %
  // CHECK: nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c2_i32
  // CHECK: %[[M1:.*]] = arith.maxsi %[[M2]], %
  // CHECK: nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %c1_i32
  // CHECK: %[[LARGEST:.*]] = arith.maxsi %[[M1]], %
  // CHECK: arith.trunci %[[LARGEST]] : i32 to i16
  // CHECK: %[[SCALE:.*]] = arith.divf
  // CHECK: scf.for %{{.*}} = %[[FIRST]] to %[[END]] step %c128 {
  // CHECK: llvm.store %{{.*}} {alignment = 4 : i64} : vector<4xi8>, !llvm.ptr<1>
  // CHECK: scf.if %[[IS_FIRST]] {
  // CHECK: llvm.store %[[SCALE]], %{{.*}} : f32, !llvm.ptr<1>
  // Bulk copies, which come next, see what all lanes wrote.
  // CHECK: {{.*}}"fence.proxy.async;"
  // CHECK-NEXT: nvvm.bar.warp.sync
  // CHECK: cp.async.bulk.shared::cluster.global
  pipe.for_each %c0 to %tokens {
  ^bb0(%token: index):
    %worker = pipe.worker
    %data = pipe.view %scratch[%worker] at 0 : memref<256x2112xi8> to memref<1x2048xf8E4M3FN, strided<[2112, 1]>>
    %scales = pipe.view %scratch[%worker] at 2048 : memref<256x2112xi8> to memref<1x16xf32, strided<[528, 1]>>
    pipe.quantize_row %x[%token] into %data, %scales[%c0] block 128
      : memref<?x2048xbf16> into memref<1x2048xf8E4M3FN, strided<[2112, 1]>>, memref<1x16xf32, strided<[528, 1]>>
    pipe.copy_row %data[%c0] to %addresses at (%table, %table)[%token, %c0 to %token] as memref<?x2048xf8E4M3FN>
      : memref<1x2048xf8E4M3FN, strided<[2112, 1]>> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  }
  pipe.return
}

// -----

// Outside of a loop a block does it together, a warp for each block of the row, as the
// first of the block's workers. 7 elements are taken one at a time; 3 scales are 3 bytes
// of a number, and one thread writes the fourth.
// CHECK-LABEL: pipe.program @row
pipe.program @row(%x: memref<?x7xf32> {pipe.name = "x"}, %scratch: memref<16x128xi8> {pipe.name = "s"}) {
  %token = pipe.rank
  %c0 = arith.constant 0 : index
  // CHECK-DAG: %[[ZERO:.*]] = arith.constant 0 : i8
  // CHECK-DAG: %[[CTA:.*]] = nvvm.read.ptx.sreg.ctaid.x
  // CHECK: %[[WORKER:.*]] = arith.muli %{{.*}}, %c16
  // CHECK: pipe.view %{{.*}}[%[[WORKER]]] at 0
  %worker = pipe.worker
  %data = pipe.view %scratch[%worker] at 0 : memref<16x128xi8> to memref<1x7xf8E5M2, strided<[128, 1]>>
  %scales = pipe.view %scratch[%worker] at 64 : memref<16x128xi8> to memref<1x1xi32, strided<[32, 1]>>
  // CHECK: nvvm.barrier0
  // CHECK: memref.extract_aligned_pointer_as_index %{{.*}} : memref<1x1xi32
  // CHECK: %[[SCALES:.*]] = llvm.inttoptr
  // CHECK: %[[WARP:.*]] = arith.divui %[[THREAD:.*]], %c32
  // CHECK: scf.for %{{.*}} = %[[WARP]] to %c3 step %c16 {
  // CHECK: llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr<1> -> vector<1xf32>
  // CHECK-COUNT-5: nvvm.shfl.sync bfly
  // CHECK-NOT: nvvm.shfl.sync
  // CHECK: llvm.store %{{.*}} : i8, !llvm.ptr<1>
  // CHECK: %[[IS_FIRST:.*]] = arith.cmpi eq, %[[THREAD]], %c0
  // CHECK-NEXT: scf.if %[[IS_FIRST]] {
  // CHECK-NEXT: %[[UNUSED:.*]] = llvm.getelementptr %[[SCALES]][3]
  // CHECK-NEXT: llvm.store %[[ZERO]], %[[UNUSED]] : i8
  // CHECK-NEXT: }
  // CHECK-NEXT: {{.*}}"fence.proxy.async;"
  // CHECK-NEXT: nvvm.barrier0
  pipe.quantize_row %x[%token] into %data, %scales[%c0] block 3
    : memref<?x7xf32> into memref<1x7xf8E5M2, strided<[128, 1]>>, memref<1x1xi32, strided<[32, 1]>>
  pipe.return
}
