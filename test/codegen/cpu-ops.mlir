// RUN: fusco-opt %s --pipe-ops-to-cpu --canonicalize --cse -split-input-file | FileCheck %s

//===----------------------------------------------------------------------===//
// Pipelines: one worker takes all stages in turn
//===----------------------------------------------------------------------===//

// In step s a stage does chunk s - lag, if there is one; the last is as many steps
// behind as its lag.
// CHECK-LABEL: pipe.program @pipeline
pipe.program @pipeline(%sent: memref<8xindex> {pipe.name = "a"}, %forwarded: memref<8xindex> {pipe.name = "b"}) {
  // CHECK: %[[CHUNKS:.*]] = pipe.rank
  %chunks = pipe.rank
  // CHECK: %[[STEPS:.*]] = arith.addi %[[CHUNKS]], %c3
  // CHECK: scf.for %[[STEP:.*]] = %c0 to %[[STEPS]] step %c1 {
  // CHECK: %[[BEFORE_END:.*]] = arith.cmpi slt, %[[STEP]], %[[CHUNKS]]
  // CHECK: %[[IS_CHUNK:.*]] = arith.andi %{{.*}}, %[[BEFORE_END]]
  // CHECK: scf.if %[[IS_CHUNK]] {
  // CHECK-NEXT: memref.store %[[STEP]], %{{.*}}[%[[STEP]]]
  // CHECK-NEXT: }
  // CHECK: %[[CHUNK:.*]] = arith.subi %[[STEP]], %c3
  // CHECK-DAG: %[[FROM_START:.*]] = arith.cmpi sge, %[[CHUNK]], %c0
  // CHECK-DAG: %[[BEFORE_END:.*]] = arith.cmpi slt, %[[CHUNK]], %[[CHUNKS]]
  // CHECK: %[[IS_CHUNK:.*]] = arith.andi %[[FROM_START]], %[[BEFORE_END]]
  // CHECK: scf.if %[[IS_CHUNK]] {
  // CHECK-NEXT: memref.store %[[CHUNK]], %{{.*}}[%[[CHUNK]]]
  pipe.pipeline chunks %chunks {
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: index):
      memref.store %chunk, %sent[%chunk] : memref<8xindex>
    }
    pipe.stage "forward" lag 3 {
    ^bb0(%chunk: index):
      memref.store %chunk, %forwarded[%chunk] : memref<8xindex>
    }
  }
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Copies of rows: loads and stores have the alignment that the row's size leaves
//===----------------------------------------------------------------------===//

// CHECK-LABEL: pipe.program @copy_2048
pipe.program @copy_2048(%x: memref<?x2048xbf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                        %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %x, %begin : memref<?x2048xbf16>
  // 4096 bytes, 256 at a time; each destination is one sequential stream.
  // CHECK: %[[END:.*]] = memref.dim
  // CHECK: scf.for %[[I:.*]] = %c0 to %[[END]] step %c1 {
  // CHECK-NEXT: memref.load %{{.*}}[%{{.*}}, %[[I]]] : memref<8x2xi32>
  // CHECK: scf.for %{{.*}} = %c0 to %c4096 step %c256
  // CHECK-COUNT-4: llvm.load %{{.*}} {alignment = 64 : i64} : !llvm.ptr -> vector<16xi32>
  // CHECK-COUNT-4: llvm.store %{{.*}} {alignment = 64 : i64} : vector<16xi32>
  // CHECK-NOT: llvm.store
  // CHECK: pipe.return
  pipe.copy_row %x[%token] to %addresses at (%table, %table)[%token, %begin to %end] as memref<?x2048xbf16>
    : memref<?x2048xbf16> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// CHECK-LABEL: pipe.program @copy_2048_streaming
pipe.program @copy_2048_streaming(%x: memref<?x2048xbf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                        %table: memref<8x2xi32> {pipe.name = "c"}) {
  %past = arith.constant true
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %x, %begin : memref<?x2048xbf16>
  // CHECK-COUNT-4: llvm.store %{{.*}} {alignment = 64 : i64, nontemporal} : vector<16xi32>
  // CHECK-NOT: alignment
  // CHECK: pipe.return
  pipe.copy_row %x[%token] to %addresses at (%table, %table)[%token, %begin to %end] as memref<?x2048xbf16> streaming %past
    : memref<?x2048xbf16> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// 5760 bytes: 22 steps of 256, then two lines.
// CHECK-LABEL: pipe.program @copy_2880_streaming
pipe.program @copy_2880_streaming(%x: memref<?x2880xf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                        %table: memref<8x2xi32> {pipe.name = "c"}) {
  %past = arith.constant true
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %x, %begin : memref<?x2880xf16>
  // CHECK: scf.for %{{.*}} = %c0 to %c5632 step %c256
  // CHECK-COUNT-4: llvm.store %{{.*}} {alignment = 64 : i64, nontemporal} : vector<16xi32>
  // CHECK: getelementptr %{{.*}}[5632]
  // CHECK-COUNT-2: llvm.store %{{.*}} {alignment = 64 : i64, nontemporal} : vector<16xi32>
  // CHECK-NOT: alignment
  // CHECK: pipe.return
  pipe.copy_row %x[%token] to %addresses at (%table, %table)[%token, %begin to %end] as memref<?x2880xf16> streaming %past
    : memref<?x2880xf16> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// Where a call decides it, each way has its own loop.
// CHECK-LABEL: pipe.program @copy_as_decided
pipe.program @copy_as_decided(%x: memref<?x2048xbf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                              %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %x, %begin : memref<?x2048xbf16>
  // CHECK: %[[PAST:.*]] = arith.cmpi
  %past = arith.cmpi ugt, %end, %token : index
  // CHECK: scf.if %[[PAST]] {
  // CHECK-NEXT: scf.for
  // CHECK-COUNT-4: llvm.store %{{.*}} {alignment = 64 : i64, nontemporal} : vector<16xi32>
  // CHECK: } else {
  // CHECK-NEXT: scf.for
  // CHECK-COUNT-4: llvm.store %{{.*}} {alignment = 64 : i64} : vector<16xi32>
  // CHECK: pipe.return
  pipe.copy_row %x[%token] to %addresses at (%table, %table)[%token, %begin to %end] as memref<?x2048xbf16> streaming %past
    : memref<?x2048xbf16> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// 14 bytes: rows start anywhere, and so none is streamed.
// CHECK-LABEL: pipe.program @copy_7_streaming
pipe.program @copy_7_streaming(%x: memref<?x7xbf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                        %table: memref<8x2xi32> {pipe.name = "c"}) {
  %past = arith.constant true
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %x, %begin : memref<?x7xbf16>
  // CHECK-NOT: nontemporal
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : vector<2xi32>
  // CHECK-NOT: nontemporal
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : vector<1xi32>
  // CHECK-NOT: nontemporal
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : i16
  // CHECK-NOT: alignment
  // CHECK: pipe.return
  pipe.copy_row %x[%token] to %addresses at (%table, %table)[%token, %begin to %end] as memref<?x7xbf16> streaming %past
    : memref<?x7xbf16> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// CHECK-LABEL: pipe.program @copy_1
pipe.program @copy_1(%x: memref<?x1xf32> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                     %table: memref<8x2xi32> {pipe.name = "c"}) {
  %past = arith.constant true
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %x, %begin : memref<?x1xf32>
  // CHECK: llvm.store %{{.*}} {alignment = 4 : i64} : vector<1xi32>
  // CHECK-NOT: alignment
  // CHECK: pipe.return
  pipe.copy_row %x[%token] to %addresses at (%table, %table)[%token, %begin to %end] as memref<?x1xf32> streaming %past
    : memref<?x1xf32> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// Another type on the way, and a weight: in float32, rounded once, with the one NaN.
// CHECK-LABEL: pipe.program @copy_converting
// CHECK-SAME: %[[WEIGHTS:[^:]*]]: memref<8x2xf32>
pipe.program @copy_converting(%x: memref<?x32xf32> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                              %table: memref<8x2xi32> {pipe.name = "c"}, %weights: memref<8x2xf32> {pipe.name = "d"}) {
  %past = arith.constant true
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %x, %begin : memref<?x32xf32>
  // Rows of 128 bytes become rows of 64.
  // CHECK: %[[NAN:.*]] = arith.constant dense<32767> : vector<16xi16>
  // CHECK: arith.muli %{{.*}}, %c128_i64
  // CHECK: scf.for
  // CHECK: arith.muli %{{.*}}, %c64_i64
  // CHECK: %[[SCALAR:.*]] = memref.load %[[WEIGHTS]]
  // CHECK: %[[VALUE:.*]] = llvm.load %{{.*}} {alignment = 64 : i64} : !llvm.ptr -> vector<16xf32>
  // CHECK: %[[WEIGHT:.*]] = vector.broadcast %[[SCALAR]]
  // CHECK: %[[PRODUCT:.*]] = arith.mulf %[[WEIGHT]], %[[VALUE]]
  // CHECK: %[[IS_NAN:.*]] = arith.cmpf uno, %[[PRODUCT]], %[[PRODUCT]]
  // CHECK: %[[ROUNDED:.*]] = arith.trunci
  // CHECK: %[[BITS:.*]] = arith.select %[[IS_NAN]], %[[NAN]], %[[ROUNDED]]
  // CHECK: llvm.store %[[BITS]], %{{.*}} {alignment = 32 : i64, nontemporal} : vector<16xi16>
  pipe.copy_row %x[%token] to %addresses at (%table, %table) weights %weights[%token, %begin to %end]
    as memref<?x32xbf16> streaming %past
    : memref<?x32xf32> to memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>) weights memref<8x2xf32>
  pipe.return
}

// -----

// Without a weight rows of one type keep all their bits; a wider type is exact but
// for the one NaN.
// CHECK-LABEL: pipe.program @store_row
pipe.program @store_row(%x: memref<?x7xbf16> {pipe.name = "x"}, %wide: memref<?x7xf32> {pipe.name = "y"}) {
  %i = pipe.rank
  // CHECK-DAG: %[[SIXTEEN:.*]] = arith.constant dense<16> : vector<4xi32>
  // CHECK-DAG: %[[NAN:.*]] = arith.constant dense<2147483647> : vector<4xi32>
  // CHECK: %[[HALF:.*]] = llvm.load %{{.*}} {alignment = 2 : i64} : !llvm.ptr -> vector<4xi16>
  // CHECK: %[[LOW:.*]] = arith.extui %[[HALF]]
  // CHECK: %[[WIDE:.*]] = arith.shli %[[LOW]], %[[SIXTEEN]]
  // CHECK: %[[BITS:.*]] = arith.select %{{.*}}, %[[NAN]], %[[WIDE]]
  // CHECK: llvm.store %[[BITS]], %{{.*}} {alignment = 4 : i64} : vector<4xi32>
  // CHECK: llvm.store %{{.*}} {alignment = 4 : i64} : vector<2xi32>
  // CHECK: llvm.store %{{.*}} {alignment = 4 : i64} : vector<1xi32>
  pipe.store_row %x[%i] to %wide[%i] : memref<?x7xbf16> to memref<?x7xf32>
  // CHECK-NOT: arith.select
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : vector<2xi32>
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : vector<1xi32>
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : i16
  // CHECK-NOT: llvm.store
  // CHECK: pipe.return
  pipe.store_row %x[%i] to %x[%i] : memref<?x7xbf16> to memref<?x7xbf16>
  pipe.return
}

// -----

// CHECK-LABEL: pipe.program @row_address
pipe.program @row_address(%x: memref<?x7xbf16> {pipe.name = "x"}, %out: memref<2xi64> {pipe.name = "b"}) {
  // CHECK: %[[I:.*]] = pipe.rank
  %i = pipe.rank
  // CHECK: %[[I64:.*]] = arith.index_cast %[[I]]
  // CHECK: %[[OFFSET:.*]] = arith.muli %[[I64]], %c14_i64
  // CHECK: %[[BASE:.*]] = arith.index_cast
  // CHECK: %[[ADDRESS:.*]] = arith.addi %[[BASE]], %[[OFFSET]]
  // CHECK: memref.store %[[ADDRESS]]
  %address = pipe.row_address %x[%i] : memref<?x7xbf16>
  memref.store %address, %out[%i] : memref<2xi64>
  pipe.return
}

// -----

// Consecutive rows are one run of bytes: line by line where rows are lines, else
// as the C library does it.
// CHECK-LABEL: pipe.program @copy_rows
pipe.program @copy_rows(%x: memref<?x2048xbf16> {pipe.name = "x"}, %odd: memref<?x7xbf16> {pipe.name = "y"},
                        %numbers: memref<3xindex> {pipe.name = "n"}) {
  %past = arith.constant true
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  // CHECK: %[[ROW:.*]] = memref.load %{{.*}}[%c0]
  // CHECK: %[[TO:.*]] = memref.load %{{.*}}[%c1]
  // CHECK: %[[COUNT:.*]] = memref.load %{{.*}}[%c2]
  // CHECK: %[[ADDRESS:.*]] = pipe.status
  %from = memref.load %numbers[%c0] : memref<3xindex>
  %to = memref.load %numbers[%c1] : memref<3xindex>
  %count = memref.load %numbers[%c2] : memref<3xindex>
  %address = pipe.status
  // CHECK: %[[ROW64:.*]] = arith.index_cast %[[ROW]]
  // CHECK: %[[ROW_OFFSET:.*]] = arith.muli %[[ROW64]], %c4096_i64
  // CHECK: %[[FROM64:.*]] = arith.addi %{{.*}}, %[[ROW_OFFSET]]
  // CHECK: %[[FROM:.*]] = llvm.inttoptr %[[FROM64]]
  // CHECK: %[[TO64:.*]] = arith.index_cast %[[TO]]
  // CHECK: %[[TO_OFFSET:.*]] = arith.muli %[[TO64]], %c4096_i64
  // CHECK: %[[INTO64:.*]] = arith.addi %[[ADDRESS]], %[[TO_OFFSET]]
  // CHECK: %[[INTO:.*]] = llvm.inttoptr %[[INTO64]]
  // CHECK: %[[BYTES:.*]] = arith.muli %[[COUNT]], %c4096 : index
  // CHECK: scf.for %[[AT:.*]] = %c0 to %[[BYTES]] step %c64
  // CHECK: %[[AT64:.*]] = arith.index_cast %[[AT]]
  // CHECK: %[[SOURCE:.*]] = llvm.getelementptr %[[FROM]][%[[AT64]]]
  // CHECK: %[[DESTINATION:.*]] = llvm.getelementptr %[[INTO]][%[[AT64]]]
  // CHECK: %[[LINE:.*]] = llvm.load %[[SOURCE]] {alignment = 64 : i64} : !llvm.ptr -> vector<16xi32>
  // CHECK: llvm.store %[[LINE]], %[[DESTINATION]] {alignment = 64 : i64, nontemporal} : vector<16xi32>
  pipe.copy_rows %x[%from] to %address[%to] count %count streaming %past : memref<?x2048xbf16>
  // CHECK: scf.for %{{.*}} = %c0 to %[[BYTES]] step %c64
  // CHECK: llvm.store %{{.*}} {alignment = 64 : i64} : vector<16xi32>
  pipe.copy_rows %x[%from] to %address[%to] count %count : memref<?x2048xbf16>
  // CHECK: %[[SMALL:.*]] = arith.muli %[[COUNT]], %c14 : index
  // CHECK: %[[SMALL64:.*]] = arith.index_cast %[[SMALL]]
  // CHECK: "llvm.intr.memcpy"(%{{.*}}, %{{.*}}, %[[SMALL64]])
  pipe.copy_rows %odd[%from] to %address[%to] count %count streaming %past : memref<?x7xbf16>
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Sums of rows: the tree has the levels that can differ
//===----------------------------------------------------------------------===//

// One rank: a plain chain of fma from +0, in the order of the descriptors.
// CHECK-LABEL: pipe.program @reduce_one_rank
pipe.program @reduce_one_rank(%out: memref<?x64xf32> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                              %table: memref<8x2xi32> {pipe.name = "c"},
                              %weights: memref<8x2xf32> {pipe.name = "d"}) {
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %out, %begin : memref<?x64xf32>
  // CHECK: %[[START:.*]] = arith.constant dense<0.000000e+00> : vector<16xf32>
  // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[START]], %{{.*}} = %[[START]])
  // CHECK: %[[SCALAR:.*]] = memref.load %{{.*}} : memref<8x2xf32>
  // CHECK: %[[WEIGHT:.*]] = vector.broadcast %[[SCALAR]]
  // CHECK-COUNT-2: math.fma %[[WEIGHT]], %{{.*}}, %{{.*}} : vector<16xf32>
  // CHECK-NOT: scf.if
  // CHECK-NOT: arith.addf
  // CHECK: pipe.return
  pipe.reduce_row %addresses at (%table, %table) weights %weights[%token, %begin to %end]
    as memref<?x64xf32> into %out[%token] ranks 1 per_node 1
    : memref<1xi64> at (memref<8x2xi32>, memref<8x2xi32>)
    weights memref<8x2xf32> into memref<?x64xf32>
  pipe.return
}

// -----

// One node of four ranks: where a rank's descriptors end, its sum is added and
// the next starts from +0. Without weights they are 1.
// CHECK-LABEL: pipe.program @reduce_one_node
pipe.program @reduce_one_node(%out: memref<?x16xf32> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                              %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %out, %begin : memref<?x16xf32>
  // CHECK-DAG: %[[ONE:.*]] = arith.constant dense<1.000000e+00> : vector<16xf32>
  // CHECK-DAG: %[[PLUS:.*]] = arith.constant dense<0.000000e+00> : vector<16xf32>
  // CHECK-DAG: %[[PLUS_SCALAR:.*]] = arith.constant 0.000000e+00 : f32
  // CHECK-DAG: %[[MINUS_SCALAR:.*]] = arith.constant -0.000000e+00 : f32
  // The neutral -0, or +0 for a token without assignments.
  // CHECK: %[[IS_EMPTY:.*]] = arith.cmpi eq, %{{.*}}, %c0 : index
  // CHECK: %[[NEUTRAL:.*]] = arith.select %[[IS_EMPTY]], %[[PLUS_SCALAR]], %[[MINUS_SCALAR]]
  // CHECK: %[[START:.*]] = vector.broadcast %[[NEUTRAL]]
  // CHECK: scf.for {{.*}} iter_args(%[[RANK:.*]] = %[[PLUS]], %[[NODE:.*]] = %[[START]])
  // CHECK: %[[SUM:.*]] = math.fma %[[ONE]], %{{.*}}, %[[RANK]]
  // CHECK: %[[NEXT:.*]] = arith.select %[[ENDS:.*]], %[[PLUS]], %[[SUM]]
  // CHECK: scf.if %[[ENDS]]
  // CHECK-NEXT: arith.addf %[[NODE]], %[[SUM]]
  // CHECK-NOT: arith.addf
  // CHECK: scf.yield %[[NEXT]],
  // CHECK: pipe.return
  pipe.reduce_row %addresses at (%table, %table)[%token, %begin to %end]
    as memref<?x16xf32> into %out[%token] ranks 4 per_node 4
    : memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>) into memref<?x16xf32>
  pipe.return
}

// -----

// Two nodes: the third level, which alone decides what an empty sum is.
// CHECK-LABEL: pipe.program @reduce_two_nodes
pipe.program @reduce_two_nodes(%out: memref<?x16xf32> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                               %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %out, %begin : memref<?x16xf32>
  // CHECK-DAG: %[[PLUS:.*]] = arith.constant dense<0.000000e+00> : vector<16xf32>
  // CHECK-DAG: %[[MINUS:.*]] = arith.constant dense<-0.000000e+00> : vector<16xf32>
  // CHECK: %[[NEUTRAL:.*]] = arith.select %{{.*}} : f32
  // CHECK: %[[START:.*]] = vector.broadcast %[[NEUTRAL]]
  // CHECK: scf.for {{.*}} iter_args(%[[RANK:[^ ]*]] = %[[PLUS]], %[[NODE:[^ ]*]] = %[[MINUS]], %[[ALL:[^ ]*]] = %[[START]])
  // CHECK: %[[SUM:.*]] = math.fma
  // CHECK: scf.if
  // CHECK-NEXT: %[[NODE_SUM:.*]] = arith.addf %[[NODE]], %[[SUM]]
  // CHECK: scf.if
  // CHECK-NEXT: arith.addf %[[ALL]], %[[NODE_SUM]]
  // CHECK: pipe.return
  pipe.reduce_row %addresses at (%table, %table)[%token, %begin to %end]
    as memref<?x16xf32> into %out[%token] ranks 4 per_node 2
    : memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>) into memref<?x16xf32>
  pipe.return
}

// -----

// While a token is summed, the same columns of the next token's rows are fetched,
// line by line: 32 columns are two here.
// CHECK-LABEL: pipe.program @reduce_prefetch
// CHECK-SAME: %[[TABLE:[^:]*]]: memref<8x2xi32>
pipe.program @reduce_prefetch(%out: memref<?x64xf32> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                              %table: memref<8x2xi32> {pipe.name = "c"}) {
  // CHECK: %[[TOKEN:.*]] = pipe.rank
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %out, %begin : memref<?x64xf32>
  // CHECK: memref.load %[[TABLE]][%[[TOKEN]],
  // CHECK: %[[AFTER:.*]] = arith.addi %[[TOKEN]], %c1
  // After the last token there is no next.
  // CHECK: %[[NEXT:.*]] = arith.minsi {{.*}}%[[AFTER]]
  // CHECK: memref.load %[[TABLE]][%[[NEXT]],
  // CHECK-COUNT-2: "llvm.intr.prefetch"(%{{.*}}) <{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}>
  // CHECK-NOT: prefetch
  // CHECK: math.fma
  // CHECK-NOT: prefetch
  // CHECK: pipe.return
  pipe.reduce_row %addresses at (%table, %table)[%token, %begin to %end]
    as memref<?x64xf32> into %out[%token] ranks 1 per_node 1
    : memref<1xi64> at (memref<8x2xi32>, memref<8x2xi32>) into memref<?x64xf32>
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Sums of rows: conversions
//===----------------------------------------------------------------------===//

// f32 keeps its bits, but for the one NaN.
// CHECK-LABEL: pipe.program @reduce_f32
pipe.program @reduce_f32(%out: memref<?x16xf32> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                         %table: memref<8x2xi32> {pipe.name = "c"}) {
  %past = arith.constant true
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %out, %begin : memref<?x16xf32>
  // CHECK: %[[NAN:.*]] = arith.constant dense<2147483647> : vector<16xi32>
  // CHECK: %[[IS_NAN:.*]] = arith.cmpf uno, %[[SUM:.*]], %[[SUM]]
  // CHECK: %[[BITS:.*]] = arith.bitcast %[[SUM]] : vector<16xf32> to vector<16xi32>
  // CHECK: %[[OUT:.*]] = arith.select %[[IS_NAN]], %[[NAN]], %[[BITS]]
  // CHECK: llvm.store %[[OUT]], %{{.*}} {alignment = 64 : i64, nontemporal} : vector<16xi32>
  pipe.reduce_row %addresses at (%table, %table)[%token, %begin to %end]
    as memref<?x16xf32> into %out[%token] ranks 1 per_node 1 streaming %past
    : memref<1xi64> at (memref<8x2xi32>, memref<8x2xi32>) into memref<?x16xf32>
  pipe.return
}

// -----

// bf16 is widened and rounded in integers: the hardware's conversion flushes
// denormals, and its row is stored as integers, since no other type streams.
// CHECK-LABEL: pipe.program @reduce_bf16
pipe.program @reduce_bf16(%out: memref<?x2880xbf16> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                          %table: memref<8x2xi32> {pipe.name = "c"}) {
  %past = arith.constant true
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %out, %begin : memref<?x2880xbf16>
  // CHECK-NOT: arith.truncf
  // CHECK-DAG: %[[NAN:.*]] = arith.constant dense<2147483647> : vector<32xi32>
  // CHECK-DAG: %[[UPPER:.*]] = arith.constant dense<-65536> : vector<16xi32>
  // CHECK-DAG: %[[SIXTEEN:.*]] = arith.constant dense<16> : vector<16xi32>
  // 2880 columns are 90 steps of 32, with no rest.
  // CHECK: scf.for %{{.*}} = %c0 to %c2880 step %c32
  // Even columns and odd ones, each in the lane where its pair is.
  // CHECK: %[[BITS:.*]] = llvm.load %{{.*}} {alignment = 64 : i64} : !llvm.ptr -> vector<32xi16>
  // CHECK: %[[PAIRS:.*]] = vector.bitcast %[[BITS]] : vector<32xi16> to vector<16xi32>
  // CHECK: %[[SHIFTED:.*]] = arith.shli %[[PAIRS]], %[[SIXTEEN]]
  // CHECK: %[[MASKED:.*]] = arith.andi %[[PAIRS]], %[[UPPER]]
  // CHECK: %[[EVEN:.*]] = arith.bitcast %[[SHIFTED]] : vector<16xi32> to vector<16xf32>
  // CHECK: %[[ODD:.*]] = arith.bitcast %[[MASKED]] : vector<16xi32> to vector<16xf32>
  // CHECK: %[[VALUE:.*]] = vector.shuffle %[[EVEN]], %[[ODD]]
  // CHECK: math.fma %{{.*}}, %[[VALUE]]
  // CHECK: %[[ROUNDED:.*]] = arith.select %{{.*}}, %[[NAN]], %{{.*}} : vector<32xi1>
  // CHECK: %[[FIRST:.*]] = vector.extract_strided_slice %[[ROUNDED]] {offsets = [0]
  // CHECK: %[[LOW:.*]] = arith.shrui %[[FIRST]], %[[SIXTEEN]]
  // CHECK: %[[SECOND:.*]] = vector.extract_strided_slice %[[ROUNDED]] {offsets = [16]
  // CHECK: %[[HIGH:.*]] = arith.andi %[[SECOND]], %[[UPPER]]
  // CHECK: %[[JOINED:.*]] = arith.ori %[[LOW]], %[[HIGH]]
  // CHECK: %[[OUT:.*]] = vector.bitcast %[[JOINED]] : vector<16xi32> to vector<32xi16>
  // CHECK: llvm.store %[[OUT]], %{{.*}} {alignment = 64 : i64, nontemporal} : vector<32xi16>
  // CHECK-NOT: arith.truncf
  // CHECK: pipe.return
  pipe.reduce_row %addresses at (%table, %table)[%token, %begin to %end]
    as memref<?x2880xbf16> into %out[%token] ranks 1 per_node 1 streaming %past
    : memref<1xi64> at (memref<8x2xi32>, memref<8x2xi32>) into memref<?x2880xbf16>
  pipe.return
}

// -----

// f16 by the hardware's conversion, which is exact; an odd row, column by column
// at its end, and not streamed. It is shorter than a line: nothing is fetched.
// CHECK-LABEL: pipe.program @reduce_f16
pipe.program @reduce_f16(%out: memref<?x7xf16> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                         %table: memref<8x2xi32> {pipe.name = "c"}) {
  %past = arith.constant true
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %out, %begin : memref<?x7xf16>
  // CHECK-NOT: nontemporal
  // CHECK-NOT: prefetch
  // CHECK: arith.extf %{{.*}} : vector<4xf16> to vector<4xf32>
  // CHECK: %[[ROUNDED:.*]] = arith.truncf %{{.*}} : vector<4xf32> to vector<4xf16>
  // CHECK: %[[BITS:.*]] = arith.bitcast %[[ROUNDED]] : vector<4xf16> to vector<4xi16>
  // CHECK: arith.select %{{.*}}, %[[BITS]]
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : vector<4xi16>
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : vector<2xi16>
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : vector<1xi16>
  // CHECK-NOT: nontemporal
  // CHECK: pipe.return
  pipe.reduce_row %addresses at (%table, %table)[%token, %begin to %end]
    as memref<?x7xf16> into %out[%token] ranks 1 per_node 1 streaming %past
    : memref<1xi64> at (memref<8x2xi32>, memref<8x2xi32>) into memref<?x7xf16>
  pipe.return
}

// -----

// A partial sum is of its own type, whatever the rows are.
// CHECK-LABEL: pipe.program @reduce_partial
pipe.program @reduce_partial(%rows: memref<?x16xbf16> {pipe.name = "x"}, %sums: memref<?x16xf32> {pipe.name = "y"},
                             %addresses: memref<1xi64> {pipe.name = "a"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  %c0 = arith.constant 0 : index
  // CHECK: %[[BEGIN:.*]] = memref.dim %{{.*}} : memref<?x16xbf16>
  // CHECK: %[[END:.*]] = memref.dim %{{.*}} : memref<?x16xf32>
  // CHECK: %[[COUNT:.*]] = arith.subi %[[END]], %[[BEGIN]]
  %begin = memref.dim %rows, %c0 : memref<?x16xbf16>
  %end = memref.dim %sums, %c0 : memref<?x16xf32>
  // CHECK: scf.for %[[I:.*]] = %c0 to %[[COUNT]] step %c1
  // CHECK: %[[AT:.*]] = arith.addi %[[BEGIN]], %[[I]]
  // CHECK: memref.load %{{.*}}[%{{.*}}, %[[AT]]] : memref<8x2xi32>
  // CHECK: llvm.load %{{.*}} : !llvm.ptr -> vector<16xi16>
  // CHECK: math.fma
  // CHECK: llvm.store %{{.*}} {alignment = 64 : i64} : vector<16xi32>
  pipe.reduce_row %addresses at (%table, %table)[%token, %begin to %end] as memref<?x16xbf16>
    into %sums[%token] ranks 1 per_node 1
    : memref<1xi64> at (memref<8x2xi32>, memref<8x2xi32>) into memref<?x16xf32>
  pipe.return
}

// -----

// Float8 with scales: 64 columns share one, which multiplies what they are before the
// weight does. 2^8 is what f16 has more of exponent than the bits are shifted for.
// CHECK-LABEL: pipe.program @reduce_scaled
pipe.program @reduce_scaled(%out: memref<?x128xf32> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                            %table: memref<8x2xi32> {pipe.name = "c"}, %scales: memref<1xi64> {pipe.name = "s"}) {
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %out, %begin : memref<?x128xf32>
  // CHECK-DAG: %[[MORE:.*]] = arith.constant dense<2.560000e+02> : vector<16xf32>
  // CHECK: arith.divui %{{.*}}, %c64
  // CHECK: scf.for
  // CHECK: %[[SCALAR:.*]] = llvm.load %{{.*}} : !llvm.ptr -> f32
  // CHECK-NEXT: %[[SCALE:.*]] = vector.broadcast %[[SCALAR]] : f32 to vector<16xf32>
  // CHECK: llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr -> vector<16xi8>
  // CHECK: %[[HALF:.*]] = arith.extf %{{.*}} : vector<16xf16> to vector<16xf32>
  // CHECK-NEXT: %[[NUMBER:.*]] = arith.mulf %[[HALF]], %[[MORE]]
  // CHECK-NEXT: %[[VALUE:.*]] = arith.mulf %[[NUMBER]], %[[SCALE]]
  // CHECK-NEXT: math.fma %{{.*}}, %[[VALUE]], %{{.*}}
  // CHECK-COUNT-3: arith.mulf %{{.*}}, %[[SCALE]]
  // CHECK-NOT: llvm.load
  // CHECK: scf.yield
  pipe.reduce_row %addresses at (%table, %table)[%token, %begin to %end]
    as memref<?x128xf8E4M3FN> scaled %scales as memref<?x2xf32> block 64
    into %out[%token] ranks 1 per_node 1
    : memref<1xi64> at (memref<8x2xi32>, memref<8x2xi32>) scaled memref<1xi64> into memref<?x128xf32>
  pipe.return
}

// -----

// Blocks of 6 columns are cut into vectors of two; a power of two is one of its
// exponent, the least a denormal, the largest a NaN.
// CHECK-LABEL: pipe.program @reduce_packed
pipe.program @reduce_packed(%out: memref<?x16xf32> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                            %table: memref<8x2xi32> {pipe.name = "c"}, %scales: memref<1xi64> {pipe.name = "s"}) {
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %out, %begin : memref<?x16xf32>
  // CHECK-DAG: %[[LEAST:.*]] = arith.constant 4194304 : i32
  // CHECK-DAG: %[[NAN:.*]] = arith.constant 2147483647 : i32
  // CHECK: llvm.load %{{.*}} : !llvm.ptr -> i8
  // CHECK: arith.shli
  // CHECK: arith.select %{{.*}}, %[[LEAST]]
  // CHECK: arith.select %{{.*}}, %[[NAN]]
  // CHECK: arith.shli %{{.*}} : vector<2xi16>
  // CHECK-NEXT: arith.bitcast %{{.*}} : vector<2xi16> to vector<2xf16>
  pipe.reduce_row %addresses at (%table, %table)[%token, %begin to %end]
    as memref<?x16xf8E5M2> scaled %scales as memref<?x1xi32> block 6
    into %out[%token] ranks 1 per_node 1
    : memref<1xi64> at (memref<8x2xi32>, memref<8x2xi32>) scaled memref<1xi64> into memref<?x16xf32>
  pipe.return
}

// -----

// A rank's sum is rounded to bf16 before it is added, and that of the node before
// summands are.
// CHECK-LABEL: pipe.program @reduce_partials
// CHECK-SAME: %{{.*}}: memref<?x16xf32>{{.*}} %{{.*}}: memref<4xi64>
pipe.program @reduce_partials(%out: memref<?x16xf32> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                              %table: memref<8x2xi32> {pipe.name = "c"}, %bias: memref<1x16xf32> {pipe.name = "s"},
                              %residual: memref<?x16xf32> {pipe.name = "r"}) {
  %token = pipe.rank
  %begin = arith.constant 0 : index
  %end = memref.dim %out, %begin : memref<?x16xf32>
  // CHECK: %[[SUMS:.*]]:2 = scf.for
  // CHECK: scf.if
  // CHECK: %[[PARTIAL:.*]] = arith.bitcast %{{.*}} : vector<16xi32> to vector<16xf32>
  // CHECK-NEXT: arith.addf %{{.*}}, %[[PARTIAL]]
  // CHECK: arith.bitcast %[[SUMS]]#1 : vector<16xf32> to vector<16xi32>
  // CHECK: %[[SUM:.*]] = arith.bitcast %{{.*}} : vector<16xi32> to vector<16xf32>
  // CHECK: %[[BIAS:.*]] = llvm.load
  // CHECK: %[[BIASED:.*]] = arith.addf %[[SUM]], %[[BIAS]]
  // CHECK: %[[RESIDUAL:.*]] = llvm.load
  // CHECK: arith.addf %[[BIASED]], %[[RESIDUAL]]
  pipe.reduce_row %addresses at (%table, %table)[%token, %begin to %end]
    as memref<?x16xf32> into %out[%token] plus %bias, %residual ranks 4 per_node 4 partials bf16
    : memref<4xi64> at (memref<8x2xi32>, memref<8x2xi32>) into memref<?x16xf32>
    plus memref<1x16xf32>, memref<?x16xf32>
  pipe.return
}

// -----

// Partial sums are added from -0, the neutral element, or give +0 if there are none,
// and are rounded once.
// CHECK-LABEL: pipe.program @merge_row
// CHECK-SAME: %[[ADDRESSES:[^:]*]]: memref<4xi64>
pipe.program @merge_row(%out: memref<?x32xbf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"}) {
  %past = arith.constant true
  // CHECK-DAG: %[[PLUS:.*]] = arith.constant 0.000000e+00 : f32
  // CHECK-DAG: %[[MINUS:.*]] = arith.constant -0.000000e+00 : f32
  // CHECK: %[[COUNT:.*]] = pipe.rank
  %count = pipe.rank
  // CHECK: %[[IS_EMPTY:.*]] = arith.cmpi eq, %[[COUNT]], %c0
  // CHECK: %[[SCALAR:.*]] = arith.select %[[IS_EMPTY]], %[[PLUS]], %[[MINUS]]
  // CHECK: %[[START:.*]] = vector.broadcast %[[SCALAR]]
  // CHECK: %[[SUMS:.*]]:2 = scf.for %[[I:.*]] = %c0 to %[[COUNT]] step %c1 iter_args(%[[SUM:.*]] = %[[START]], %{{.*}} = %[[START]])
  // CHECK: memref.load %[[ADDRESSES]][%[[I]]]
  // CHECK: %[[VALUE:.*]] = llvm.load %{{.*}} {alignment = 64 : i64} : !llvm.ptr -> vector<16xf32>
  // CHECK: arith.addf %[[SUM]], %[[VALUE]]
  // CHECK: arith.cmpf uno, %[[SUMS]]#0, %[[SUMS]]#0
  // CHECK: llvm.store %{{.*}} {alignment = 32 : i64, nontemporal} : vector<16xi16>
  // CHECK: arith.cmpf uno, %[[SUMS]]#1, %[[SUMS]]#1
  // CHECK: llvm.store %{{.*}} {alignment = 32 : i64, nontemporal} : vector<16xi16>
  pipe.merge_row %addresses count %count into %out[%count] streaming %past : memref<4xi64> into memref<?x32xbf16>
  pipe.return
}

// -----

// Sums of bf16 are half as wide; a node's own is one, too.
// CHECK-LABEL: pipe.program @merge_partials
pipe.program @merge_partials(%out: memref<?x16xf32> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"}) {
  %count = pipe.rank
  // CHECK: %[[SUM:.*]] = scf.for
  // CHECK: llvm.load %{{.*}} {alignment = 32 : i64} : !llvm.ptr -> vector<16xi16>
  // CHECK: arith.addf
  // CHECK: arith.bitcast %[[SUM]] : vector<16xf32> to vector<16xi32>
  // CHECK: arith.shrui
  // CHECK: arith.trunci {{.*}} to vector<16xi16>
  // CHECK: arith.bitcast %{{.*}} : vector<16xi32> to vector<16xf32>
  // CHECK: llvm.store
  pipe.merge_row %addresses count %count into %out[%count] partials bf16 node : memref<4xi64> into memref<?x16xf32>
  pipe.return
}

// -----

// 32 lanes, whatever the target has. The last 7 of 71 columns stand in lanes 0 to 6;
// the lanes behind them add a product of +0 and -0, which changes no sum.
// CHECK-LABEL: pipe.program @dot_row
pipe.program @dot_row(%x: memref<?x71xbf16> {pipe.name = "x"}, %out: memref<2xf32> {pipe.name = "b"},
                      %addresses: memref<2xi64> {pipe.name = "c"}) {
  // CHECK-DAG: %[[NAN:.*]] = arith.constant 0x7FFFFFFF : f32
  // CHECK-DAG: %[[PLUS:.*]] = arith.constant dense<0.000000e+00> : vector<32xf32>
  // CHECK-DAG: %[[MINUS:.*]] = arith.constant dense<-0.000000e+00> : vector<32xf32>
  %i = pipe.rank
  %address = memref.load %addresses[%i] : memref<2xi64>
  // CHECK: %[[WHOLE:.*]] = scf.for %{{.*}} = %c0 to %c64 step %c32 iter_args(%[[SUM:.*]] = %[[PLUS]])
  // CHECK: math.fma %{{.*}}, %{{.*}}, %[[SUM]] : vector<32xf32>
  // CHECK: vector.insert_strided_slice %{{.*}}, %[[MINUS]] {offsets = [0], strides = [1]} : vector<4xf32> into vector<32xf32>
  // CHECK: vector.insert_strided_slice {{.*}} {offsets = [4], strides = [1]} : vector<2xf32>
  // CHECK: %[[Y:.*]] = vector.insert_strided_slice {{.*}} {offsets = [6], strides = [1]} : vector<1xf32>
  // CHECK: vector.insert_strided_slice %{{.*}}, %[[PLUS]] {offsets = [0], strides = [1]} : vector<4xf32>
  // CHECK: %[[X:.*]] = vector.insert_strided_slice {{.*}} {offsets = [6], strides = [1]} : vector<1xf32>
  // CHECK: math.fma %[[X]], %[[Y]], %[[WHOLE]]
  // CHECK: arith.addf %{{.*}} : vector<16xf32>
  // CHECK: arith.addf %{{.*}} : vector<8xf32>
  // CHECK: arith.addf %{{.*}} : vector<4xf32>
  // CHECK: arith.addf %{{.*}} : vector<2xf32>
  // CHECK: arith.addf %{{.*}} : vector<1xf32>
  // CHECK: %[[DOT:.*]] = vector.extract
  // CHECK: %[[IS_NAN:.*]] = arith.cmpf uno, %[[DOT]], %[[DOT]]
  // CHECK: arith.select %[[IS_NAN]], %[[NAN]], %[[DOT]]
  %dot = pipe.dot_row %x[%i] with %address as memref<?x71xf32> : memref<?x71xbf16>
  memref.store %dot, %out[%i] : memref<2xf32>
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Pads
//===----------------------------------------------------------------------===//

// CHECK-LABEL: pipe.program @zero_rows
pipe.program @zero_rows(%x: memref<?x7xbf16> {pipe.name = "x"}) {
  // CHECK: %[[ZERO:.*]] = arith.constant 0 : i8
  // CHECK: %[[FROM:.*]] = pipe.rank
  %from = pipe.rank
  // CHECK: %[[TO:.*]] = memref.dim
  %c0 = arith.constant 0 : index
  %to = memref.dim %x, %c0 : memref<?x7xbf16>
  // CHECK: %[[ROWS:.*]] = arith.subi %[[TO]], %[[FROM]] : index
  // CHECK: %[[WIDE:.*]] = arith.index_cast %[[ROWS]] : index to i64
  // CHECK: %[[BYTES:.*]] = arith.muli %[[WIDE]], %c14_i64
  // CHECK: "llvm.intr.memset"(%{{.*}}, %[[ZERO]], %[[BYTES]])
  pipe.zero_rows %x[%from, %to] : memref<?x7xbf16>
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Planning
//===----------------------------------------------------------------------===//

// What is no expert counts in the last bin, without a branch; the first id that is
// not -1 either is the result.
// CHECK-LABEL: pipe.program @histogram
pipe.program @histogram(%ids: memref<?x2xi64> {pipe.name = "ids"}, %bins: memref<9xi32> {pipe.name = "a"},
                        %out: memref<1xi64> {pipe.name = "b"}) {
  // CHECK: scf.for %{{.*}} = %c0 to %c9 step %c1
  // CHECK-NEXT: memref.store %c0_i32
  // CHECK: %[[BAD:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %c-1_i64)
  // CHECK: scf.for %{{.*}} = %c0 to %c2 step %c1
  // CHECK-NOT: scf.if
  // CHECK: %[[IS_EXPERT:.*]] = arith.cmpi ult, %[[ID:.*]], %c8 : index
  // CHECK: %[[BIN:.*]] = arith.select %[[IS_EXPERT]], %[[ID]], %c8
  // CHECK: memref.store %{{.*}}, %{{.*}}[%[[BIN]]]
  // CHECK: arith.cmpi eq, %[[ID]], %c-1
  // CHECK: memref.store %[[BAD]],
  %bad = pipe.histogram %ids into %bins : memref<?x2xi64>, memref<9xi32>
  %c0 = arith.constant 0 : index
  memref.store %bad, %out[%c0] : memref<1xi64>
  pipe.return
}

// -----

// Segments start at multiples of the alignment.
// CHECK-LABEL: pipe.program @place_align_3
pipe.program @place_align_3(%counts: memref<4x10xi32> {pipe.name = "a"}, %experts: memref<10xi32> {pipe.name = "b"},
                            %ranks: memref<4xi32> {pipe.name = "c"}) {
  %rank = pipe.rank
  // CHECK: scf.for %[[RANK:.*]] = %c0 to %c4 step %c1 iter_args(%[[FIRST:.*]] = %c0)
  // 10 experts on 4 ranks: two ranks hold 3, two hold 2.
  // CHECK: %[[IS_LARGER:.*]] = arith.cmpi slt, %[[RANK]], %c2
  // CHECK: arith.select %[[IS_LARGER]], %c3, %c2
  // CHECK: scf.for %{{.*}} = %[[FIRST]] to
  // CHECK: %[[UP:.*]] = arith.addi %{{.*}}, %c2 : index
  // CHECK: %[[UNITS:.*]] = arith.divui %[[UP]], %c3
  // CHECK: arith.muli %[[UNITS]], %c3
  pipe.place %counts of %rank into (%experts, %experts, %experts, %ranks) align 3
    : memref<4x10xi32> into (memref<10xi32>, memref<10xi32>, memref<10xi32>, memref<4xi32>)
  pipe.return
}

// -----

// CHECK-LABEL: pipe.program @place_align_1
pipe.program @place_align_1(%counts: memref<4x8xi32> {pipe.name = "a"}, %experts: memref<8xi32> {pipe.name = "b"},
                            %ranks: memref<4xi32> {pipe.name = "c"}) {
  %rank = pipe.rank
  // CHECK-NOT: arith.divui
  // CHECK: pipe.return
  pipe.place %counts of %rank into (%experts, %experts, %experts, %ranks) align 1
    : memref<4x8xi32> into (memref<8xi32>, memref<8xi32>, memref<8xi32>, memref<4xi32>)
  pipe.return
}

// -----

// The rank of an expert: one division where experts divide by ranks. Without
// router weights each is 1.
// CHECK-LABEL: pipe.program @assign_even
pipe.program @assign_even(%ids: memref<?x2xi32> {pipe.name = "ids"}, %bases: memref<8xi32> {pipe.name = "a"},
                          %fanout: memref<4xi32> {pipe.name = "b"}, %ranks: memref<4x2xi32> {pipe.name = "c"},
                          %slots: memref<4x2xi32> {pipe.name = "d"}, %weights: memref<4x2xf32> {pipe.name = "e"},
                          %stats: memref<8xi64> {pipe.name = "f"}) {
  %rank = pipe.rank
  // CHECK-DAG: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
  // An unrouted id is left out; a routed one takes the next row of its expert.
  // CHECK: arith.cmpi sge, %[[ID:.*]], %c0 : index
  // CHECK: %[[SLOT:.*]] = memref.load %[[BASES:.*]][%[[ID]]] : memref<8xi32>
  // CHECK: %[[NEXT:.*]] = arith.addi %[[SLOT]], %c1_i32
  // CHECK: memref.store %[[NEXT]], %[[BASES]][%[[ID]]]
  // CHECK: arith.divui %[[ID]], %c2 : index
  // Sorted in by rank, behind its equals.
  // CHECK: scf.while
  // CHECK: arith.cmpi sgt
  // CHECK: memref.store %[[SLOT]]
  // CHECK: memref.store %[[ONE]]
  pipe.assign %ids of %rank at %bases into (%fanout, %ranks, %slots, %weights, %stats) ranks 4 per_node 2
    scale_out node scale_up assignment
    : memref<?x2xi32> at memref<8xi32>
    into (memref<4xi32>, memref<4x2xi32>, memref<4x2xi32>, memref<4x2xf32>, memref<8xi64>)
  pipe.return
}

// -----

// Ten experts on four ranks: the first six are on the ranks of three.
// CHECK-LABEL: pipe.program @assign_uneven
pipe.program @assign_uneven(%ids: memref<?x2xi32> {pipe.name = "ids"}, %bases: memref<10xi32> {pipe.name = "a"},
                            %fanout: memref<4xi32> {pipe.name = "b"}, %ranks: memref<4x2xi32> {pipe.name = "c"},
                            %slots: memref<4x2xi32> {pipe.name = "d"}, %weights: memref<4x2xf32> {pipe.name = "e"},
                            %stats: memref<8xi64> {pipe.name = "f"}, %router: memref<?x2xf32> {pipe.name = "g"}) {
  %rank = pipe.rank
  // CHECK: %[[WEIGHT:.*]] = memref.load %{{.*}} : memref<?x2xf32>
  // CHECK: %[[LARGER:.*]] = arith.divui %[[ID:.*]], %c3 : index
  // CHECK: %[[PAST:.*]] = arith.{{subi|addi}} %[[ID]], %c{{-?}}6
  // CHECK: arith.divui %[[PAST]], %c2 : index
  // CHECK: arith.cmpi ult, %[[ID]], %c6
  // CHECK: memref.store %[[WEIGHT]]
  pipe.assign %ids weights %router of %rank at %bases into (%fanout, %ranks, %slots, %weights, %stats)
    ranks 4 per_node 2
    scale_out node scale_up assignment
    : memref<?x2xi32> weights memref<?x2xf32> at memref<10xi32>
    into (memref<4xi32>, memref<4x2xi32>, memref<4x2xi32>, memref<4x2xf32>, memref<8xi64>)
  pipe.return
}

// -----

// Fewer experts than ranks: expert e is on rank e.
// CHECK-LABEL: pipe.program @assign_few
// CHECK-SAME: (%[[IDS:[^:]*]]: memref<?x1xi32> {pipe.name = "ids"}
// CHECK-SAME: %[[RANKS:[^:]*]]: memref<4x1xi32> {pipe.name = "c"}
pipe.program @assign_few(%ids: memref<?x1xi32> {pipe.name = "ids"}, %bases: memref<3xi32> {pipe.name = "a"},
                         %fanout: memref<4xi32> {pipe.name = "b"}, %ranks: memref<4x1xi32> {pipe.name = "c"},
                         %slots: memref<4x1xi32> {pipe.name = "d"}, %weights: memref<4x1xf32> {pipe.name = "e"},
                         %stats: memref<8xi64> {pipe.name = "f"}) {
  %rank = pipe.rank
  // CHECK: %[[ID:.*]] = memref.load %[[IDS]]
  // CHECK: memref.store %[[ID]], %[[RANKS]]
  pipe.assign %ids of %rank at %bases into (%fanout, %ranks, %slots, %weights, %stats) ranks 8 per_node 8
    scale_out node scale_up assignment
    : memref<?x1xi32> at memref<3xi32>
    into (memref<4xi32>, memref<4x1xi32>, memref<4x1xi32>, memref<4x1xf32>, memref<8xi64>)
  pipe.return
}

// -----

// Which k a descriptor is of travels with it. Rows are counted in the hops' units: to
// other nodes once per rank here, and within a node once per rank that is not of the
// sender's local index.
// CHECK-LABEL: pipe.program @assign_order
// CHECK-SAME: %[[RANKS:[^:]*]]: memref<4x2xi32> {pipe.name = "c"}
// CHECK-SAME: %[[STATS:[^:]*]]: memref<8xi64> {pipe.name = "f"}
// CHECK-SAME: %[[ORDER:[^:]*]]: memref<4x2xi32> {pipe.name = "g"}
pipe.program @assign_order(%ids: memref<?x2xi32> {pipe.name = "ids"}, %bases: memref<8xi32> {pipe.name = "a"},
                           %fanout: memref<4xi32> {pipe.name = "b"}, %ranks: memref<4x2xi32> {pipe.name = "c"},
                           %slots: memref<4x2xi32> {pipe.name = "d"}, %weights: memref<4x2xf32> {pipe.name = "e"},
                           %stats: memref<8xi64> {pipe.name = "f"}, %order: memref<4x2xi32> {pipe.name = "g"}) {
  // CHECK: %[[SELF:.*]] = pipe.rank
  // CHECK: %[[OWN_NODE:.*]] = arith.divui %[[SELF]], %c2
  %rank = pipe.rank
  // CHECK: %[[SUMS:.*]]:5 = scf.for
  // CHECK: scf.for %[[LOOP:[^ ]*]] = %c0 to %c2
  // CHECK: %[[K:.*]] = arith.index_cast %[[LOOP]] : index to i32
  // CHECK: memref.store %[[K]], %[[ORDER]]
  // CHECK: scf.for {{.*}} iter_args({{.*}} = %c-1, {{.*}} = %c-1)
  // CHECK: %[[RANK32:.*]] = memref.load %[[RANKS]]
  // CHECK: %[[RANK:.*]] = arith.index_cast %[[RANK32]]
  // CHECK: %[[NODE:.*]] = arith.divui %[[RANK]], %c2
  // CHECK: %[[IS_NEW_RANK:.*]] = arith.cmpi ne, %[[RANK]],
  // CHECK: %[[IS_NEW_NODE:.*]] = arith.cmpi ne, %[[NODE]],
  // CHECK: %[[IS_FAR:.*]] = arith.cmpi ne, %[[NODE]], %[[OWN_NODE]]
  // CHECK: %[[IS_OTHER:.*]] = arith.cmpi ne
  // CHECK-DAG: arith.andi %[[IS_OTHER]], %[[IS_NEW_RANK]]
  // CHECK-DAG: arith.andi %[[IS_FAR]], %[[IS_NEW_RANK]]
  // CHECK: memref.store %[[SUMS]]#3, %[[STATS]][%c4]
  // CHECK: memref.store %[[SUMS]]#4, %[[STATS]][%c5]
  pipe.assign %ids of %rank at %bases into (%fanout, %ranks, %slots, %weights, %stats) order %order
    ranks 4 per_node 2 scale_out rank scale_up rank
    : memref<?x2xi32> at memref<8xi32>
    into (memref<4xi32>, memref<4x2xi32>, memref<4x2xi32>, memref<4x2xf32>, memref<8xi64>) order memref<4x2xi32>
  pipe.return
}

// -----

// Arrivals of several ranks are counted at once.
// CHECK-LABEL: pipe.program @arrive
pipe.program @arrive(%table: memref<4xi64> {pipe.name = "a"}) {
  %i = pipe.rank
  %address = memref.load %table[%i] : memref<4xi64>
  // CHECK: pipe.fence
  pipe.fence
  // CHECK: llvm.atomicrmw add %{{.*}}, %c1_i32 release : !llvm.ptr, i32
  pipe.arrive %address[%i]
  pipe.return
}
