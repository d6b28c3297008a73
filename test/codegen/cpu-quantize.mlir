// Rows quantised by vectors. What they become is a matter of test/reference and
// test/e2e; here is when stores happen, and where.
// RUN: fusco-opt %s --pipe-ops-to-cpu --canonicalize --cse -split-input-file \
// RUN:   | FileCheck %s --implicit-check-not=pipe.quantize_row --implicit-check-not=pipe.worker

// Four blocks of 128 elements at a time, all scales first. What is not finite takes the
// long way, a block at a time. Behind every 512 elements come their copies, past the
// caches, while the next ones are computed.
// CHECK-LABEL: pipe.program @block_128
pipe.program @block_128(%x: memref<?x2048xbf16> {pipe.name = "x"}, %scratch: memref<1x2112xi8> {pipe.name = "s"},
                        %addresses: memref<4xi64> {pipe.name = "a"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %past = arith.constant true
  %token = pipe.rank
  %c0 = arith.constant 0 : index
  %end = memref.dim %x, %c0 : memref<?x2048xbf16>
  // CHECK: %[[END:.*]] = memref.dim
  // There is one worker.
  // CHECK: pipe.view %{{.*}}[%c0] at 0
  %worker = pipe.worker
  %data = pipe.view %scratch[%worker] at 0 : memref<1x2112xi8> to memref<1x2048xf8E4M3FN, strided<[2112, 1]>>
  %scales = pipe.view %scratch[%worker] at 2048 : memref<1x2112xi8> to memref<1x16xf32, strided<[528, 1]>>
  // CHECK: scf.for %[[GROUP:.*]] = %c0 to %c4 step %c1 {
  // CHECK-NEXT: %[[FIRST:.*]] = arith.muli %[[GROUP]], %c4
  // CHECK-NEXT: %[[COLUMN:.*]] = arith.muli %[[GROUP]], %c512
  // CHECK-NEXT: %[[OFFSET:.*]] = arith.index_cast %[[COLUMN]]
  // The source's next 1024 bytes.
  // CHECK-COUNT-16: llvm.intr.prefetch"(%{{.*}}) <{cache = 1 : i32, hint = 3 : i32, rw = 0 : i32}>
  // CHECK-NOT: llvm.intr.prefetch
  // CHECK-COUNT-4: llvm.load %{{.*}} {alignment = 64 : i64} : !llvm.ptr -> vector<32xi16>
  // CHECK-COUNT-4: vector.reduction <maxsi>
  // CHECK-NOT: arith.divf
  // CHECK: %[[FINITE:.*]] = arith.cmpi ult, %{{.*}}, %c32640_i16 : i16
  // CHECK-NEXT: scf.if %[[FINITE]] {
  // CHECK: %[[SCALE:.*]] = arith.divf %[[AMAX:.*]], %[[MOST:.*]] : f32
  // CHECK-NEXT: arith.divf %[[MOST]], %[[AMAX]] : f32
  // CHECK-COUNT-6: arith.divf
  // CHECK-NOT: arith.select
  // CHECK-NOT: arith.cmp
  // CHECK-COUNT-4: llvm.store %{{.*}} : vector<32xi8>
  // CHECK: llvm.store %[[SCALE]], %{{.*}} : f32
  // CHECK-COUNT-12: llvm.store %{{.*}} : vector<32xi8>
  // CHECK: } else {
  // CHECK-NEXT: %[[LAST:.*]] = arith.addi %[[FIRST]], %c4
  // CHECK-NEXT: scf.for %{{.*}} = %[[FIRST]] to %[[LAST]] step %c1 {
  // CHECK: arith.select
  // CHECK: vector.reduction <maxsi>
  // CHECK-COUNT-4: llvm.store %{{.*}} : vector<32xi8>
  // CHECK: }
  // CHECK-NEXT: }
  // CHECK-NEXT: scf.for %{{.*}} = %c0 to %[[END]] step %c1 {
  // CHECK: llvm.getelementptr %{{.*}}[%[[OFFSET]]]
  // CHECK-NEXT: llvm.getelementptr %{{.*}}[%[[OFFSET]]]
  // CHECK-COUNT-8: llvm.store %{{.*}} {alignment = 64 : i64, nontemporal} : vector<16xi32>
  // CHECK-NOT: llvm.store
  // CHECK: pipe.return
  pipe.quantize_row %x[%token] into %data, %scales[%c0] block 128
    : memref<?x2048xbf16> into memref<1x2048xf8E4M3FN, strided<[2112, 1]>>, memref<1x16xf32, strided<[528, 1]>>
  pipe.copy_row %data[%c0] to %addresses at (%table, %table)[%token, %c0 to %end] as memref<?x2048xf8E4M3FN> streaming %past
    : memref<1x2048xf8E4M3FN, strided<[2112, 1]>> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// 2880 elements: 5 groups of 4 blocks, 2 blocks, and one of 64. A copy goes behind each
// group, and one behind the rest.
// CHECK-LABEL: pipe.program @block_128_of_2880
pipe.program @block_128_of_2880(%x: memref<?x2880xf32> {pipe.name = "x"}, %scratch: memref<1x3008xi8> {pipe.name = "s"},
                                %addresses: memref<4xi64> {pipe.name = "a"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %past = arith.constant true
  %token = pipe.rank
  %c0 = arith.constant 0 : index
  %end = memref.dim %x, %c0 : memref<?x2880xf32>
  // CHECK: %[[END:.*]] = memref.dim
  // CHECK: scf.for %{{.*}} = %c0 to %c5 step %c1 {
  // CHECK-COUNT-4: vector.reduction
  // CHECK: scf.if
  // CHECK: scf.for %{{.*}} step %c1 {
  // CHECK: vector.reduction
  // CHECK: scf.for %{{.*}} = %c0 to %[[END]] step %c1 {
  // CHECK-COUNT-8: llvm.store %{{.*}} : vector<16xi32>
  // CHECK: scf.for %{{.*}} = %c20 to %c22 step %c1 {
  // CHECK: vector.reduction
  // CHECK: vector.reduction <maxsi>, %{{.*}} : vector<32xi32>
  // CHECK-COUNT-2: llvm.store %{{.*}} : vector<32xi8>
  // CHECK: scf.for %{{.*}} = %c0 to %[[END]] step %c1 {
  // 320 bytes from 2560 on.
  // CHECK: llvm.getelementptr %{{.*}}[2560]
  // CHECK-COUNT-5: llvm.store %{{.*}} : vector<16xi32>
  // CHECK-NOT: llvm.store
  // CHECK: pipe.return
  %data = pipe.view %scratch[%c0] at 0 : memref<1x3008xi8> to memref<1x2880xf8E4M3FN, strided<[3008, 1]>>
  %scales = pipe.view %scratch[%c0] at 2880 : memref<1x3008xi8> to memref<1x23xf32, strided<[752, 1]>>
  pipe.quantize_row %x[%token] into %data, %scales[%c0] block 128
    : memref<?x2880xf32> into memref<1x2880xf8E4M3FN, strided<[3008, 1]>>, memref<1x23xf32, strided<[752, 1]>>
  pipe.copy_row %data[%c0] to %addresses at (%table, %table)[%token, %c0 to %end] as memref<?x2880xf8E4M3FN> streaming %past
    : memref<1x2880xf8E4M3FN, strided<[3008, 1]>> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// Blocks of 48 start inside of lines: the copy comes behind the whole row. 5 scales, the
// last of 8 elements, are 5 bytes of two numbers, and the 3 others are 0.
// CHECK-LABEL: pipe.program @block_48
pipe.program @block_48(%x: memref<?x200xf16> {pipe.name = "x"}, %scratch: memref<1x320xi8> {pipe.name = "s"},
                       %addresses: memref<4xi64> {pipe.name = "a"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %past = arith.constant true
  %token = pipe.rank
  %c0 = arith.constant 0 : index
  %end = memref.dim %x, %c0 : memref<?x200xf16>
  // CHECK-DAG: %[[ZERO:.*]] = arith.constant 0 : i8
  // CHECK: %[[END:.*]] = memref.dim
  // CHECK: %[[ADDRESS:.*]] = memref.extract_aligned_pointer_as_index %{{.*}} : memref<1x2xi32
  // CHECK: %[[BYTES:.*]] = arith.index_cast %[[ADDRESS]]
  // CHECK: %[[SCALES:.*]] = llvm.inttoptr %[[BYTES]]
  // CHECK: llvm.store %{{.*}} : i8
  // CHECK: llvm.store %{{.*}} : vector<8xi8>
  // CHECK: llvm.store %{{.*}} : i8
  // CHECK: %[[UNUSED:.*]] = llvm.getelementptr %[[SCALES]][5]
  // CHECK-NEXT: llvm.store %[[ZERO]], %[[UNUSED]] : i8
  // CHECK-NEXT: %[[UNUSED:.*]] = llvm.getelementptr %[[SCALES]][6]
  // CHECK-NEXT: llvm.store %[[ZERO]], %[[UNUSED]] : i8
  // CHECK-NEXT: %[[UNUSED:.*]] = llvm.getelementptr %[[SCALES]][7]
  // CHECK-NEXT: llvm.store %[[ZERO]], %[[UNUSED]] : i8
  // CHECK: scf.for %{{.*}} = %c0 to %[[END]] step %c1 {
  // CHECK: llvm.load
  // CHECK-NOT: scf.for %{{.*}} = %c0 to %[[END]]
  // CHECK: pipe.return
  %data = pipe.view %scratch[%c0] at 0 : memref<1x320xi8> to memref<1x200xf8E5M2, strided<[320, 1]>>
  %scales = pipe.view %scratch[%c0] at 256 : memref<1x320xi8> to memref<1x2xi32, strided<[80, 1]>>
  pipe.quantize_row %x[%token] into %data, %scales[%c0] block 48
    : memref<?x200xf16> into memref<1x200xf8E5M2, strided<[320, 1]>>, memref<1x2xi32, strided<[80, 1]>>
  pipe.copy_row %data[%c0] to %addresses at (%table, %table)[%token, %c0 to %end] as memref<?x200xf8E5M2> streaming %past
    : memref<1x200xf8E5M2, strided<[320, 1]>> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// A copy behind that of the scales is part of it too, but not one behind a fence.
// CHECK-LABEL: pipe.program @other_copy
pipe.program @other_copy(%x: memref<?x128xbf16> {pipe.name = "x"}, %data: memref<?x128xf8E4M3FN> {pipe.name = "d"},
                         %scales: memref<?x1xf32> {pipe.name = "s"}, %addresses: memref<4xi64> {pipe.name = "a"},
                         %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  %c0 = arith.constant 0 : index
  %end = memref.dim %x, %c0 : memref<?x128xbf16>
  // CHECK: %[[END:.*]] = memref.dim
  // CHECK: vector.reduction
  // CHECK-NOT: %c0 to %[[END]]
  // CHECK: llvm.store %{{.*}} : f32
  // CHECK: scf.for %{{.*}} = %c0 to %[[END]]
  // CHECK: scf.for %{{.*}} = %c0 to %[[END]]
  // CHECK-COUNT-2: llvm.store %{{.*}} : vector<16xi32>
  pipe.quantize_row %x[%token] into %data, %scales[%token] block 128
    : memref<?x128xbf16> into memref<?x128xf8E4M3FN>, memref<?x1xf32>
  pipe.copy_row %scales[%token] to %addresses at (%table, %table)[%token, %c0 to %end] as memref<?x1xf32>
    : memref<?x1xf32> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  pipe.fence
  pipe.copy_row %data[%token] to %addresses at (%table, %table)[%token, %c0 to %end] as memref<?x128xf8E4M3FN>
    : memref<?x128xf8E4M3FN> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// Rows start at lines, blocks of 48 at multiples of 96 bytes: no load may assume more
// than the 32 that both are multiples of.
// CHECK-LABEL: pipe.program @block_alignment
pipe.program @block_alignment(%x: memref<?x2048xbf16> {pipe.name = "x"}, %data: memref<?x2048xf8E4M3FN> {pipe.name = "d"},
                              %scales: memref<?x43xf32> {pipe.name = "s"}) {
  %token = pipe.rank
  // CHECK: scf.for %{{.*}} = %c0 to %c4 step %c1 {
  // CHECK-NOT: llvm.load %{{.*}} {alignment = 64 : i64}
  // CHECK: scf.for %[[BLOCK:.*]] = %c40 to %c42 step %c1 {
  // CHECK: %[[COLUMN:.*]] = arith.muli %[[BLOCK]], %c48
  // CHECK-NOT: llvm.load %{{.*}} {alignment = 64 : i64}
  // CHECK: vector.reduction
  // CHECK-NOT: llvm.load %{{.*}} {alignment = 64 : i64}
  // CHECK: llvm.store %{{.*}} : f32
  pipe.quantize_row %x[%token] into %data, %scales[%token] block 48
    : memref<?x2048xbf16> into memref<?x2048xf8E4M3FN>, memref<?x43xf32>
  pipe.return
}
