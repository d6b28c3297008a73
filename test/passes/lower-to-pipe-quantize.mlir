// Rows that are quantised on the way, and several tensors that travel together.
// RUN: fusco-opt %s --fusco-plan-dedup --fusco-lower-to-pipe="chunk-tokens=4 row-workers=3" --canonicalize --cse -split-input-file \
// RUN:   | FileCheck %s --implicit-check-not=pipe.peer

// One node: each token's row is quantised once into memory of its worker's own, rows
// and scales on lines of their own, and goes from there to its slots.
fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!plan = !fusco.plan<@ep>
!data = tensor<?x16xf8E4M3FN>
!scales = tensor<?x4xf32>
!expert_data = tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 8>>
!expert_scales = tensor<?x4xf32, #fusco.expert_major<align = 8>>

// CHECK:      pipe.buffer @addresses : memref<4xi64> plan
// CHECK-NEXT: pipe.buffer @addresses_1 : memref<4xi64> plan
// CHECK-NEXT: pipe.buffer @scratch : memref<3x128xi8> plan

// CHECK-LABEL: pipe.program @dispatch
// CHECK-SAME: (%[[X:[^:]*]]: memref<?x16xbf16> {pipe.name = "x"}
// CHECK-SAME: %[[ROWS:[^: ]*]]: memref<?x16xf8E4M3FN> {pipe.expert_rows, pipe.name = "rows", pipe.output}
// CHECK-SAME: %[[SCALES:[^: ]*]]: memref<?x4xf32> {pipe.expert_rows, pipe.name = "scales", pipe.output, pipe.scaled_columns = 4 : i64}
func.func @dispatch(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>) -> (!expert_data, !expert_scales, !plan) {
  // Room is what both have.
  // CHECK-DAG:  %[[ROOM:.*]] = memref.dim %[[ROWS]]
  // CHECK-DAG:  %[[SCALES_ROOM:.*]] = memref.dim %[[SCALES]]
  // CHECK:      arith.minsi %[[ROOM]], %[[SCALES_ROOM]]
  // CHECK-DAG:  pipe.window %[[ROWS]]
  // CHECK-DAG:  pipe.window %[[SCALES]]
  // CHECK:      pipe.put @dispatch_headers[{{.*}} bytes 168
  // CHECK:      %[[ROWS_AT:.*]] = pipe.local @addresses :
  // CHECK:      %[[SCALES_AT:.*]] = pipe.local @addresses_1 :
  // CHECK:      pipe.for_each
  // CHECK:      pipe.for_each
  // CHECK-NEXT: ^bb0(%[[TOKEN:.*]]: index):
  // CHECK:        %[[SCRATCH:.*]] = pipe.local @scratch
  // CHECK:        %[[WORKER:.*]] = pipe.worker
  // CHECK-NEXT:   %[[DATA:.*]] = pipe.view %[[SCRATCH]][%[[WORKER]]] at 0 : memref<3x128xi8> to memref<1x16xf8E4M3FN, strided<[128, 1]>>
  // CHECK-NEXT:   %[[SCALE:.*]] = pipe.view %[[SCRATCH]][%[[WORKER]]] at 64 : memref<3x128xi8> to memref<1x4xf32, strided<[32, 1]>>
  // CHECK-NEXT:   pipe.quantize_row %[[X]][%[[TOKEN]]] into %[[DATA]], %[[SCALE]][%c0] block 4
  // CHECK-NEXT:   pipe.copy_row %[[DATA]][%c0] to %[[ROWS_AT]] at({{[^)]*}})[%[[TOKEN]], %c0 to %[[FANOUT:.*]]] as memref<?x16xf8E4M3FN> :
  // CHECK-NEXT:   pipe.copy_row %[[SCALE]][%c0] to %[[SCALES_AT]] at({{[^)]*}})[%[[TOKEN]], %c0 to %[[FANOUT]]] as memref<?x4xf32> :
  // CHECK-NEXT: }
  // Pads of both.
  // CHECK:      scf.for
  // CHECK:        pipe.zero_rows %[[ROWS]][
  // CHECK-NEXT:   pipe.zero_rows %[[SCALES]][
  // CHECK:      pipe.zero_rows %[[ROWS]][
  // CHECK-NEXT: pipe.zero_rows %[[SCALES]][
  %plan = fusco.plan %ids in @ep : tensor<?x2xi32> -> !plan
  %r:4 = fusco.dispatch %x by %plan transform {
    ^bb0(%row: tensor<?x16xbf16>):
      %q, %s = fusco.quantize %row block 4 : tensor<?x16xbf16> -> !data, !scales
      fusco.yield %q, %s : !data, !scales
    } : tensor<?x16xbf16>, !plan -> (!expert_data, !expert_scales), tensor<3xi32>, tensor<4xi32>
  return %r#0, %r#1, %plan : !expert_data, !expert_scales, !plan
}

// -----

// Scales by columns: an element of each column of every destination's tensor, whose
// columns are as long as that rank says; in expert_slots as long as its capacity.
fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!plan = !fusco.plan<@ep>
!data = tensor<?x16xf8E4M3FN>
!scales = tensor<?x4xf32>
!expert_data = tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 8>>
!expert_scales = tensor<?x4xf32, #fusco.expert_major<align = 8>>

// CHECK-LABEL: pipe.program @by_columns
// CHECK-SAME: memref<?x4xf32> {pipe.by_columns, pipe.expert_rows, pipe.name = "scales", pipe.output, pipe.scaled_columns = 4 : i64}
func.func @by_columns(%x: tensor<?x16xbf16>, %ids: tensor<?x2xi32>) -> (!expert_data, !expert_scales, !plan) {
  // CHECK: pipe.local @room_rows
  // CHECK: pipe.quantize_row {{.*}} into %{{.*}}, %[[SCALE:.*]][%c0] block 4
  // CHECK: pipe.copy_row
  // CHECK-NOT: pipe.copy_row
  // CHECK: %[[THEIRS:.*]] = pipe.rows_at
  // CHECK: %[[ROOM:.*]] = pipe.local @room_rows
  // CHECK: memref.load %[[ROOM]]
  // CHECK: pipe.for_each %c0 to %c4 {
  // CHECK: ^bb0(%[[COLUMN:.*]]: index):
  // CHECK: %[[ELEMENT:.*]] = memref.load %[[SCALE]][%c0, %[[COLUMN]]]
  // CHECK: memref.store %[[ELEMENT]], %[[THEIRS]]
  %plan = fusco.plan %ids in @ep : tensor<?x2xi32> -> !plan
  %r:4 = fusco.dispatch %x by %plan by_columns [1] transform {
    ^bb0(%row: tensor<?x16xbf16>):
      %q, %s = fusco.quantize %row block 4 : tensor<?x16xbf16> -> !data, !scales
      fusco.yield %q, %s : !data, !scales
    } : tensor<?x16xbf16>, !plan -> (!expert_data, !expert_scales), tensor<3xi32>, tensor<4xi32>
  return %r#0, %r#1, %plan : !expert_data, !expert_scales, !plan
}

// -----

// Two nodes: what goes to another one is quantised too, rows and scales one behind
// the other, so that one put moves both. Here scales come first.
fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}
!plan = !fusco.plan<@ep>
!data = tensor<?x80xf8E5M2>
!scales = tensor<?x2xi32>
!expert_data = tensor<?x80xf8E5M2, #fusco.expert_major<align = 8>>
!expert_scales = tensor<?x2xi32, #fusco.expert_major<align = 8>>

// 320 bytes of descriptors, and 4 rows of 64 bytes for the scales and 128 for 80.
// CHECK:      module attributes {{.*}}pipe.scale_out_bytes_per_row = 192 : i64
// CHECK:      pipe.buffer @rows_sent : memref<1x3x1088xi8> symmetric
// CHECK-NEXT: pipe.buffer @rows_forwarded : memref<1x3x1088xi8> symmetric
// CHECK:      pipe.buffer @scratch : memref<3x192xi8> plan

// CHECK-LABEL: pipe.program @dispatch
// CHECK-SAME: {pipe.expert_rows, pipe.name = "scales", pipe.output, pipe.scaled_columns = 16 : i64}
// CHECK-SAME: {pipe.expert_rows, pipe.name = "rows", pipe.output}
func.func @dispatch(%x: tensor<?x80xf32>, %ids: tensor<?x2xi32>) -> (!expert_scales, !expert_data, !plan) {
  // CHECK:      %[[SCALES_AT:.*]] = pipe.local @addresses :
  // CHECK:      %[[ROWS_AT:.*]] = pipe.local @addresses_1 :
  // CHECK:      pipe.stage "send" lag 0 {
  // Once for all nodes.
  // CHECK:        pipe.quantize_row %{{.*}}[%{{.*}}] into %[[DATA:.*]], %[[SCALES:.*]][%c0] block 16
  // CHECK-NOT:    pipe.quantize_row
  // CHECK:        pipe.copy_row %[[SCALES]][%c0] to %[[SCALES_AT]]
  // CHECK-NEXT:   pipe.copy_row %[[DATA]][%c0] to %[[ROWS_AT]]
  // CHECK:        %[[SCALES_SENT:.*]] = pipe.view %{{.*}} at 320 : memref<1x3x1088xi8> to memref<4x2xi32, strided<[48, 1]>>
  // CHECK-NEXT:   %[[DATA_SENT:.*]] = pipe.view %{{.*}} at 384 : memref<1x3x1088xi8> to memref<4x80xf8E5M2, strided<[192, 1]>>
  // CHECK-NEXT:   pipe.store_row %[[SCALES]][%c0] to %[[SCALES_SENT]][%[[UNIT:.*]]] :
  // CHECK-NEXT:   pipe.store_row %[[DATA]][%c0] to %[[DATA_SENT]][%[[UNIT]]] :
  // CHECK:        pipe.put @rows_sent[{{.*}} bytes 320 plus %{{.*}} times 192 signal @rows_out

  // CHECK:      pipe.stage "forward" lag 1 {
  // CHECK-NOT:    pipe.quantize_row
  // CHECK:        %[[SCALES_TAKEN:.*]] = pipe.view %{{.*}} at 320 : memref<1x3x1088xi8> to memref<4x2xi32, strided<[48, 1]>>
  // CHECK-NEXT:   %[[DATA_TAKEN:.*]] = pipe.view %{{.*}} at 384 : memref<1x3x1088xi8> to memref<4x80xf8E5M2, strided<[192, 1]>>
  // CHECK:        pipe.copy_row %[[SCALES_TAKEN]][%[[UNIT:.*]]] to %[[SCALES_AT]]
  // CHECK-NEXT:   pipe.copy_row %[[DATA_TAKEN]][%[[UNIT]]] to %[[ROWS_AT]]
  %plan = fusco.plan %ids in @ep : tensor<?x2xi32> -> !plan
  %r:4 = fusco.dispatch %x by %plan transform {
    ^bb0(%row: tensor<?x80xf32>):
      %q, %s = fusco.quantize %row block 16 : tensor<?x80xf32> -> !data, !scales
      fusco.yield %s, %q : !scales, !data
    } : tensor<?x80xf32>, !plan -> (!expert_scales, !expert_data), tensor<3xi32>, tensor<4xi32>
  return %r#0, %r#1, %plan : !expert_scales, !expert_data, !plan
}

// -----

// Rows that are float8 already, and their scales: nothing is quantised, both windows
// stand in the header.
fusco.group @ep {experts = 10, topk = 2, max_tokens = 32,
                 topology = <nodes = 1, ranks_per_node = 4>, placement = <block>}
!plan = !fusco.plan<@ep>
!data = tensor<?x16xf8E4M3FN>
!scales = tensor<?x4xf32>
!expert_data = tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 8>>
!expert_scales = tensor<?x4xf32, #fusco.expert_major<align = 8>>

// CHECK:      pipe.buffer @addresses_1 : memref<4xi64> plan
// CHECK-NOT:  pipe.buffer @scratch

// CHECK-LABEL: pipe.program @dispatch
// CHECK-SAME: (%[[X:[^:]*]]: memref<?x16xf8E4M3FN> {pipe.name = "x"}
// CHECK-SAME: %[[X1:[^: ]*]]: memref<?x4xf32> {pipe.name = "x_1"}
// CHECK-SAME: %[[ROWS:[^: ]*]]: memref<?x16xf8E4M3FN> {pipe.expert_rows, pipe.name = "rows", pipe.output}
// CHECK-SAME: %[[ROWS1:[^: ]*]]: memref<?x4xf32> {pipe.expert_rows, pipe.name = "rows_1", pipe.output}
func.func @dispatch(%x: !data, %s: !scales, %ids: tensor<?x2xi32>) -> (!expert_data, !expert_scales, !plan) {
  // Words 4 and 5 of a header, and 10 and 11.
  // CHECK:      %[[WINDOW:.*]] = pipe.window %[[ROWS]]
  // CHECK:      %[[WINDOW1:.*]] = pipe.window %[[ROWS1]]
  // CHECK:      %[[HEADERS:.*]] = pipe.local @dispatch_headers
  // CHECK:      %[[LOW:.*]] = arith.trunci %[[WINDOW]]
  // CHECK:      memref.store %[[LOW]], %[[HEADERS]][%{{.*}}, %{{.*}}, %c4]
  // CHECK:      memref.store %{{.*}}, %[[HEADERS]][%{{.*}}, %{{.*}}, %c5]
  // CHECK:      %[[LOW1:.*]] = arith.trunci %[[WINDOW1]]
  // CHECK:      memref.store %[[LOW1]], %[[HEADERS]][%{{.*}}, %{{.*}}, %c10]
  // CHECK:      memref.store %{{.*}}, %[[HEADERS]][%{{.*}}, %{{.*}}, %c11]
  // CHECK:      %[[ADDRESSES:.*]] = pipe.local @addresses :
  // CHECK:        memref.load %[[HEADERS]][%{{.*}}, %{{.*}}, %c4]
  // CHECK:        %[[ADDRESS:.*]] = pipe.remote
  // CHECK-NEXT:   memref.store %[[ADDRESS]], %[[ADDRESSES]]
  // CHECK:      %[[ADDRESSES1:.*]] = pipe.local @addresses_1 :
  // CHECK:        memref.load %[[HEADERS]][%{{.*}}, %{{.*}}, %c10]
  // CHECK:        %[[ADDRESS1:.*]] = pipe.remote
  // CHECK-NEXT:   memref.store %[[ADDRESS1]], %[[ADDRESSES1]]
  // CHECK-NOT:  pipe.quantize_row
  // CHECK:      pipe.copy_row %[[X]][%[[TOKEN:.*]]] to %[[ADDRESSES]] at
  // CHECK-NEXT: pipe.copy_row %[[X1]][%[[TOKEN]]] to %[[ADDRESSES1]] at
  // CHECK-NOT:  pipe.quantize_row
  // CHECK:      pipe.return
  %plan = fusco.plan %ids in @ep : tensor<?x2xi32> -> !plan
  %r:4 = fusco.dispatch %x, %s by %plan
    : (!data, !scales), !plan -> (!expert_data, !expert_scales), tensor<3xi32>, tensor<4xi32>
  return %r#0, %r#1, %plan : !expert_data, !expert_scales, !plan
}
