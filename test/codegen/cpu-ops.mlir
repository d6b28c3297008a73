// RUN: fusco-opt %s --pipe-ops-to-cpu --canonicalize --cse -split-input-file | FileCheck %s

//===----------------------------------------------------------------------===//
// Copies of rows: loads and stores have the alignment that the row's size leaves
//===----------------------------------------------------------------------===//

// CHECK-LABEL: pipe.program @copy_2048
pipe.program @copy_2048(%x: memref<?x2048xbf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                        %fanout: memref<8xi32> {pipe.name = "b"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  // 4096 bytes, 256 at a time; each destination is one sequential stream.
  // CHECK: scf.for %{{.*}} = %c0 to %[[FANOUT:.*]] step %c1 {
  // CHECK: scf.for %{{.*}} = %c0 to %[[FANOUT]] step %c1 {
  // CHECK: scf.for %{{.*}} = %c0 to %c4096 step %c256
  // CHECK-COUNT-4: llvm.load %{{.*}} {alignment = 64 : i64} : !llvm.ptr -> vector<16xi32>
  // CHECK-COUNT-4: llvm.store %{{.*}} {alignment = 64 : i64} : vector<16xi32>
  // CHECK-NOT: llvm.store
  // CHECK: pipe.return
  pipe.copy_row %x[%token] to %addresses at (%fanout, %table, %table)
    : memref<?x2048xbf16> to memref<4xi64> at (memref<8xi32>, memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// CHECK-LABEL: pipe.program @copy_2048_streaming
pipe.program @copy_2048_streaming(%x: memref<?x2048xbf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                        %fanout: memref<8xi32> {pipe.name = "b"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  // CHECK-COUNT-4: llvm.store %{{.*}} {alignment = 64 : i64, nontemporal} : vector<16xi32>
  // CHECK-NOT: alignment
  // CHECK: pipe.return
  pipe.copy_row %x[%token] to %addresses at (%fanout, %table, %table) streaming
    : memref<?x2048xbf16> to memref<4xi64> at (memref<8xi32>, memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// 5760 bytes: 22 steps of 256, then two lines.
// CHECK-LABEL: pipe.program @copy_2880_streaming
pipe.program @copy_2880_streaming(%x: memref<?x2880xf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                        %fanout: memref<8xi32> {pipe.name = "b"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  // CHECK: scf.for %{{.*}} = %c0 to %c5632 step %c256
  // CHECK-COUNT-4: llvm.store %{{.*}} {alignment = 64 : i64, nontemporal} : vector<16xi32>
  // CHECK: getelementptr %{{.*}}[5632]
  // CHECK-COUNT-2: llvm.store %{{.*}} {alignment = 64 : i64, nontemporal} : vector<16xi32>
  // CHECK-NOT: alignment
  // CHECK: pipe.return
  pipe.copy_row %x[%token] to %addresses at (%fanout, %table, %table) streaming
    : memref<?x2880xf16> to memref<4xi64> at (memref<8xi32>, memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// 14 bytes: rows start anywhere, and so none is streamed.
// CHECK-LABEL: pipe.program @copy_7_streaming
pipe.program @copy_7_streaming(%x: memref<?x7xbf16> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                        %fanout: memref<8xi32> {pipe.name = "b"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  // CHECK-NOT: nontemporal
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : vector<2xi32>
  // CHECK-NOT: nontemporal
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : vector<1xi32>
  // CHECK-NOT: nontemporal
  // CHECK: llvm.store %{{.*}} {alignment = 2 : i64} : i16
  // CHECK-NOT: alignment
  // CHECK: pipe.return
  pipe.copy_row %x[%token] to %addresses at (%fanout, %table, %table) streaming
    : memref<?x7xbf16> to memref<4xi64> at (memref<8xi32>, memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// CHECK-LABEL: pipe.program @copy_1
pipe.program @copy_1(%x: memref<?x1xf32> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                     %fanout: memref<8xi32> {pipe.name = "b"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  // CHECK: llvm.store %{{.*}} {alignment = 4 : i64} : vector<1xi32>
  // CHECK-NOT: alignment
  // CHECK: pipe.return
  pipe.copy_row %x[%token] to %addresses at (%fanout, %table, %table) streaming
    : memref<?x1xf32> to memref<4xi64> at (memref<8xi32>, memref<8x2xi32>, memref<8x2xi32>)
  pipe.return
}

// -----

// Consecutive rows are one run of bytes: line by line where rows are lines, else
// as the C library does it.
// CHECK-LABEL: pipe.program @copy_rows
pipe.program @copy_rows(%x: memref<?x2048xbf16> {pipe.name = "x"}, %odd: memref<?x7xbf16> {pipe.name = "y"},
                        %numbers: memref<3xindex> {pipe.name = "n"}) {
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
  pipe.copy_rows %x[%from] to %address[%to] count %count streaming : memref<?x2048xbf16>
  // CHECK: scf.for %{{.*}} = %c0 to %[[BYTES]] step %c64
  // CHECK: llvm.store %{{.*}} {alignment = 64 : i64} : vector<16xi32>
  pipe.copy_rows %x[%from] to %address[%to] count %count : memref<?x2048xbf16>
  // CHECK: %[[SMALL:.*]] = arith.muli %[[COUNT]], %c14 : index
  // CHECK: %[[SMALL64:.*]] = arith.index_cast %[[SMALL]]
  // CHECK: "llvm.intr.memcpy"(%{{.*}}, %{{.*}}, %[[SMALL64]])
  pipe.copy_rows %odd[%from] to %address[%to] count %count streaming : memref<?x7xbf16>
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Sums of rows: the tree has the levels that can differ
//===----------------------------------------------------------------------===//

// One rank: a plain chain of fma from +0, in the order of the descriptors.
// CHECK-LABEL: pipe.program @reduce_one_rank
pipe.program @reduce_one_rank(%out: memref<?x64xf32> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                              %fanout: memref<8xi32> {pipe.name = "b"}, %table: memref<8x2xi32> {pipe.name = "c"},
                              %weights: memref<8x2xf32> {pipe.name = "d"}) {
  %token = pipe.rank
  // CHECK: %[[START:.*]] = arith.constant dense<0.000000e+00> : vector<16xf32>
  // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[START]], %{{.*}} = %[[START]], %{{.*}} = %[[START]], %{{.*}} = %[[START]])
  // CHECK: %[[SCALAR:.*]] = memref.load %{{.*}} : memref<8x2xf32>
  // CHECK: %[[WEIGHT:.*]] = vector.broadcast %[[SCALAR]]
  // CHECK-COUNT-4: math.fma %[[WEIGHT]], %{{.*}}, %{{.*}} : vector<16xf32>
  // CHECK-NOT: scf.if
  // CHECK-NOT: arith.addf
  // CHECK: pipe.return
  pipe.reduce_row %addresses at (%fanout, %table, %table) weights %weights into %out[%token] ranks 1 per_node 1
    : memref<1xi64> at (memref<8xi32>, memref<8x2xi32>, memref<8x2xi32>)
    weights memref<8x2xf32> into memref<?x64xf32>
  pipe.return
}

// -----

// One node of four ranks: where a rank's descriptors end, its sum is added and
// the next starts from +0. Without weights they are 1.
// CHECK-LABEL: pipe.program @reduce_one_node
pipe.program @reduce_one_node(%out: memref<?x16xf32> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                              %fanout: memref<8xi32> {pipe.name = "b"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
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
  pipe.reduce_row %addresses at (%fanout, %table, %table) into %out[%token] ranks 4 per_node 4
    : memref<4xi64> at (memref<8xi32>, memref<8x2xi32>, memref<8x2xi32>) into memref<?x16xf32>
  pipe.return
}

// -----

// Two nodes: the third level, which alone decides what an empty sum is.
// CHECK-LABEL: pipe.program @reduce_two_nodes
pipe.program @reduce_two_nodes(%out: memref<?x16xf32> {pipe.name = "x"}, %addresses: memref<4xi64> {pipe.name = "a"},
                               %fanout: memref<8xi32> {pipe.name = "b"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
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
  pipe.reduce_row %addresses at (%fanout, %table, %table) into %out[%token] ranks 4 per_node 2
    : memref<4xi64> at (memref<8xi32>, memref<8x2xi32>, memref<8x2xi32>) into memref<?x16xf32>
  pipe.return
}

// -----

// While a token is summed, the same columns of the next token's rows are fetched,
// line by line: 128 bytes here.
// CHECK-LABEL: pipe.program @reduce_prefetch
// CHECK-SAME: %[[TABLE:[^:]*]]: memref<8x2xi32>
pipe.program @reduce_prefetch(%out: memref<?x64xbf16> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                              %fanout: memref<8xi32> {pipe.name = "b"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  // CHECK: %[[TOKEN:.*]] = pipe.rank
  %token = pipe.rank
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
  pipe.reduce_row %addresses at (%fanout, %table, %table) into %out[%token] ranks 1 per_node 1
    : memref<1xi64> at (memref<8xi32>, memref<8x2xi32>, memref<8x2xi32>) into memref<?x64xbf16>
  pipe.return
}

// -----

//===----------------------------------------------------------------------===//
// Sums of rows: conversions
//===----------------------------------------------------------------------===//

// f32 keeps its bits, but for the one NaN.
// CHECK-LABEL: pipe.program @reduce_f32
pipe.program @reduce_f32(%out: memref<?x16xf32> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                         %fanout: memref<8xi32> {pipe.name = "b"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  // CHECK: %[[NAN:.*]] = arith.constant dense<2147483647> : vector<16xi32>
  // CHECK: %[[IS_NAN:.*]] = arith.cmpf uno, %[[SUM:.*]], %[[SUM]]
  // CHECK: %[[BITS:.*]] = arith.bitcast %[[SUM]] : vector<16xf32> to vector<16xi32>
  // CHECK: %[[OUT:.*]] = arith.select %[[IS_NAN]], %[[NAN]], %[[BITS]]
  // CHECK: llvm.store %[[OUT]], %{{.*}} {alignment = 64 : i64, nontemporal} : vector<16xi32>
  pipe.reduce_row %addresses at (%fanout, %table, %table) into %out[%token] ranks 1 per_node 1 streaming
    : memref<1xi64> at (memref<8xi32>, memref<8x2xi32>, memref<8x2xi32>) into memref<?x16xf32>
  pipe.return
}

// -----

// bf16 is widened and rounded in integers: the hardware's conversion flushes
// denormals, and its row is stored as integers, since no other type streams.
// CHECK-LABEL: pipe.program @reduce_bf16
pipe.program @reduce_bf16(%out: memref<?x2880xbf16> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                          %fanout: memref<8xi32> {pipe.name = "b"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
  // CHECK-NOT: arith.truncf
  // CHECK: %[[NAN:.*]] = arith.constant dense<32767> : vector<16xi16>
  // 2880 columns are 45 steps of 64, with no rest.
  // CHECK: scf.for %{{.*}} = %c0 to %c2880 step %c64
  // CHECK: llvm.load %{{.*}} {alignment = 32 : i64} : !llvm.ptr -> vector<16xi16>
  // CHECK: arith.extui
  // CHECK: arith.shli
  // CHECK: math.fma
  // CHECK: %[[ROUNDED:.*]] = arith.trunci %{{.*}} : vector<16xi32> to vector<16xi16>
  // CHECK: %[[OUT:.*]] = arith.select %{{.*}}, %[[NAN]], %[[ROUNDED]]
  // CHECK: llvm.store %[[OUT]], %{{.*}} {alignment = 32 : i64, nontemporal} : vector<16xi16>
  // CHECK-NOT: arith.truncf
  // CHECK: pipe.return
  pipe.reduce_row %addresses at (%fanout, %table, %table) into %out[%token] ranks 1 per_node 1 streaming
    : memref<1xi64> at (memref<8xi32>, memref<8x2xi32>, memref<8x2xi32>) into memref<?x2880xbf16>
  pipe.return
}

// -----

// f16 by the hardware's conversion, which is exact; an odd row, column by column
// at its end, and not streamed. It is shorter than a line: nothing is fetched.
// CHECK-LABEL: pipe.program @reduce_f16
pipe.program @reduce_f16(%out: memref<?x7xf16> {pipe.name = "x"}, %addresses: memref<1xi64> {pipe.name = "a"},
                         %fanout: memref<8xi32> {pipe.name = "b"}, %table: memref<8x2xi32> {pipe.name = "c"}) {
  %token = pipe.rank
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
  pipe.reduce_row %addresses at (%fanout, %table, %table) into %out[%token] ranks 1 per_node 1 streaming
    : memref<1xi64> at (memref<8xi32>, memref<8x2xi32>, memref<8x2xi32>) into memref<?x7xf16>
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
    : memref<?x1xi32> at memref<3xi32>
    into (memref<4xi32>, memref<4x1xi32>, memref<4x1xi32>, memref<4x1xf32>, memref<8xi64>)
  pipe.return
}
