// Every operation and attribute, every optional clause with it and without.
// RUN: fusco-opt %s --verify-roundtrip | FileCheck %s

//===----------------------------------------------------------------------===//
// fusco
//===----------------------------------------------------------------------===//

// CHECK: fusco.group @ep {experts = 64, topk = 6, max_tokens = 32, topology = <nodes = 2, ranks_per_node = 4>, placement = <block>}
fusco.group @ep {experts = 64, topk = 6, max_tokens = 32,
                 topology = <nodes = 2, ranks_per_node = 4>, placement = <block>}

// Speeds stand where they are given.
// CHECK: fusco.group @fast {{.*}}topology = <nodes = 8, ranks_per_node = 8, memory_gbps = 3350, scale_up_gbps = 450, scale_out_gbps = 50>
fusco.group @fast {experts = 256, topk = 8, max_tokens = 32,
                   topology = <nodes = 8, ranks_per_node = 8, memory_gbps = 3350,
                               scale_up_gbps = 450, scale_out_gbps = 50>,
                   placement = <block>}
// CHECK: fusco.group @partly {{.*}}topology = <nodes = 1, ranks_per_node = 8, scale_up_gbps = 450>
fusco.group @partly {experts = 256, topk = 8, max_tokens = 32,
                     topology = <nodes = 1, ranks_per_node = 8, memory_gbps = 0,
                                 scale_up_gbps = 450>,
                     placement = <block>}

// CHECK-LABEL: func.func private @layouts(
func.func private @layouts(
    // CHECK-SAME: tensor<?x16xbf16, #fusco.token_major>
    tensor<?x16xbf16, #fusco.token_major>,
    // CHECK-SAME: tensor<?x16xf16, #fusco.device_major<source>>
    tensor<?x16xf16, #fusco.device_major<source>>,
    // CHECK-SAME: tensor<?x16xf16, #fusco.device_major<destination>>
    tensor<?x16xf16, #fusco.device_major<destination>>,
    // CHECK-SAME: tensor<3x16xf32, #fusco.rank_major>
    tensor<3x16xf32, #fusco.rank_major>,
    // CHECK-SAME: tensor<?x16xbf16, #fusco.expert_major<align = 128>>
    tensor<?x16xbf16, #fusco.expert_major<align = 128>>,
    // CHECK-SAME: tensor<8x5x16xbf16, #fusco.expert_slots<capacity = 5>>
    tensor<8x5x16xbf16, #fusco.expert_slots<capacity = 5>>)

// CHECK-LABEL: func.func @plan
func.func @plan(%ids: tensor<?x6xi32>, %wide: tensor<?x6xi64>,
                %weights: tensor<?x6xf32>)
    -> (!fusco.plan<@ep>, !fusco.plan<@ep>) {
  // CHECK: fusco.plan %{{.*}}, %{{.*}} in @ep : tensor<?x6xi32>, tensor<?x6xf32> -> !fusco.plan<@ep>
  %0 = fusco.plan %ids, %weights in @ep
      : tensor<?x6xi32>, tensor<?x6xf32> -> !fusco.plan<@ep>
  // CHECK: fusco.plan %{{[^,]*}} in @ep : tensor<?x6xi64> -> !fusco.plan<@ep>
  %1 = fusco.plan %wide in @ep : tensor<?x6xi64> -> !fusco.plan<@ep>
  return %0, %1 : !fusco.plan<@ep>, !fusco.plan<@ep>
}

// CHECK-LABEL: func.func @dispatch
func.func @dispatch(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // CHECK: fusco.dispatch %{{.*}} by %{{[^ ]*}} : tensor<?x16xbf16>, !fusco.plan<@ep> -> tensor<?x16xbf16, #fusco.expert_major<align = 8>>, tensor<8xi32>, tensor<9xi32>
  %0:3 = fusco.dispatch %x by %plan
      : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<?x16xbf16, #fusco.expert_major<align = 8>>, tensor<8xi32>, tensor<9xi32>
  // CHECK: fusco.dispatch %{{.*}} by %{{[^ ]*}} hops [#fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 32, forwarders = groups>, #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = f32, bytes_per_token = 0>] :
  %1:3 = fusco.dispatch %x by %plan hops [#fusco.hop<scope = scale_out, unique = node, mode = push, wire = bf16, bytes_per_token = 32, forwarders = groups>, #fusco.hop<scope = scale_up, unique = rank, mode = push, wire = f32, bytes_per_token = 0>]
      : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<?x16xbf16, #fusco.rank_major>, tensor<1xi32>, tensor<2xi32>
  // CHECK: fusco.dispatch %{{.*}} by %{{[^ ]*}} weighted hops [#fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 32>] :
  %4:3 = fusco.dispatch %x by %plan weighted hops [#fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = bf16, bytes_per_token = 32>]
      : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<?x16xbf16, #fusco.expert_major<align = 8>>, tensor<8xi32>, tensor<9xi32>
  // CHECK: fusco.dispatch
  // CHECK-SAME: -> tensor<8x5x16xbf16, #fusco.expert_slots<capacity = 5>>
  %2:3 = fusco.dispatch %x by %plan
      : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<8x5x16xbf16, #fusco.expert_slots<capacity = 5>>, tensor<8xi32>, tensor<9xi32>
  // What may be left out: the ids of what has a slot, weights beside rows, counts of
  // arrivals.
  // CHECK: fusco.dispatch
  // CHECK-SAME: -> tensor<8x5x16xbf16, #fusco.expert_slots<capacity = 5, overflow = drop>>, tensor<8xi32>, tensor<9xi32>
  // CHECK-SAME: kept tensor<?x6xi64> row_weights tensor<8x5x1xf32, #fusco.expert_slots<capacity = 5, overflow = drop>> ready tensor<9xi32>
  %5:6 = fusco.dispatch %x by %plan
      : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<8x5x16xbf16, #fusco.expert_slots<capacity = 5, overflow = drop>>, tensor<8xi32>, tensor<9xi32>
      kept tensor<?x6xi64> row_weights tensor<8x5x1xf32, #fusco.expert_slots<capacity = 5, overflow = drop>> ready tensor<9xi32>
  // Scales by columns.
  // CHECK: fusco.dispatch %{{.*}} by %{{[^ ]*}} by_columns [1] transform {
  %6:4 = fusco.dispatch %x by %plan by_columns [1] transform {
    ^bb0(%row: tensor<?x16xbf16>):
      %q, %s = fusco.quantize %row block 4 : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
      fusco.yield %q, %s : tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
    } : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> (tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 8>>, tensor<?x4xf32, #fusco.expert_major<align = 8>>),
         tensor<8xi32>, tensor<9xi32>
  // Rows cast on the way.
  // CHECK: fusco.dispatch {{.*}} : tensor<?x16xbf16>, !fusco.plan<@ep> -> tensor<?x16xf32, #fusco.expert_major<align = 8>>
  %3:3 = fusco.dispatch %x by %plan
      : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<?x16xf32, #fusco.expert_major<align = 8>>, tensor<8xi32>, tensor<9xi32>
  return
}

// CHECK-LABEL: func.func @dispatch_several
func.func @dispatch_several(%x: tensor<?x16xbf16>, %data: tensor<?x16xf8E4M3FN>,
                            %scales: tensor<?x4xf32>, %plan: !fusco.plan<@ep>) {
  // CHECK: fusco.dispatch %{{.*}}, %{{.*}} by %{{[^ ]*}} : (tensor<?x16xf8E4M3FN>, tensor<?x4xf32>), !fusco.plan<@ep> -> (tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 8>>, tensor<?x4xf32, #fusco.expert_major<align = 8>>), tensor<8xi32>, tensor<9xi32>
  %0:4 = fusco.dispatch %data, %scales by %plan
      : (tensor<?x16xf8E4M3FN>, tensor<?x4xf32>), !fusco.plan<@ep>
      -> (tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 8>>,
          tensor<?x4xf32, #fusco.expert_major<align = 8>>), tensor<8xi32>, tensor<9xi32>
  // Made of a row on the way.
  // CHECK: fusco.dispatch %{{.*}} by %{{[^ ]*}} hops [#fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = f8E4M3FN, bytes_per_token = 120>] transform {
  // CHECK-NEXT: ^bb0(%[[ROW:.*]]: tensor<?x16xbf16>):
  // CHECK-NEXT: %[[DATA:.*]], %[[SCALES:.*]] = fusco.quantize %[[ROW]] block 4 :
  // CHECK-NEXT: fusco.yield %[[DATA]], %[[SCALES]] : tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
  // CHECK-NEXT: } : tensor<?x16xbf16>, !fusco.plan<@ep> -> (tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 8>>, tensor<?x4xf32, #fusco.expert_major<align = 8>>), tensor<8xi32>, tensor<9xi32>
  %1:4 = fusco.dispatch %x by %plan
      hops [#fusco.hop<scope = scale_up, unique = assignment, mode = push, wire = f8E4M3FN, bytes_per_token = 120>]
      transform {
      ^bb0(%row: tensor<?x16xbf16>):
        %q, %s = fusco.quantize %row block 4
            : tensor<?x16xbf16> -> tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
        fusco.yield %q, %s : tensor<?x16xf8E4M3FN>, tensor<?x4xf32>
      } : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> (tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 8>>,
          tensor<?x4xf32, #fusco.expert_major<align = 8>>), tensor<8xi32>, tensor<9xi32>
  // Beside a row that goes as it is.
  // CHECK: fusco.dispatch %{{.*}}, %{{.*}} by %{{[^ ]*}} transform {
  // CHECK-NEXT: ^bb0(%{{.*}}: tensor<?x16xbf16>, %[[KEPT:.*]]: tensor<?x4xf32>):
  // CHECK: fusco.yield %[[KEPT]], %{{.*}}, %{{.*}} : tensor<?x4xf32>, tensor<?x16xf8E5M2>, tensor<?x1xi32>
  %2:5 = fusco.dispatch %x, %scales by %plan transform {
      ^bb0(%row: tensor<?x16xbf16>, %kept: tensor<?x4xf32>):
        %q, %s = fusco.quantize %row block 5
            : tensor<?x16xbf16> -> tensor<?x16xf8E5M2>, tensor<?x1xi32>
        fusco.yield %kept, %q, %s : tensor<?x4xf32>, tensor<?x16xf8E5M2>, tensor<?x1xi32>
      } : (tensor<?x16xbf16>, tensor<?x4xf32>), !fusco.plan<@ep>
      -> (tensor<?x4xf32, #fusco.expert_major<align = 8>>,
          tensor<?x16xf8E5M2, #fusco.expert_major<align = 8>>,
          tensor<?x1xi32, #fusco.expert_major<align = 8>>), tensor<8xi32>, tensor<9xi32>
  return
}

// CHECK-LABEL: func.func @combine
func.func @combine(%y: tensor<?x16xf16, #fusco.expert_major<align = 1>>,
                   %plan: !fusco.plan<@ep>) {
  // CHECK: fusco.combine %{{.*}} by %{{[^ ]*}} : tensor<?x16xf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xf16>
  %0 = fusco.combine %y by %plan
      : tensor<?x16xf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xf16>
  // CHECK: fusco.combine %{{.*}} by %{{[^ ]*}} weighted :
  %1 = fusco.combine %y by %plan weighted
      : tensor<?x16xf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xf16>
  // CHECK: fusco.combine %{{.*}} by %{{[^ ]*}} weighted hops [#fusco.hop<scope = scale_up, unique = assignment, mode = pull, wire = f16, bytes_per_token = 64>] :
  %2 = fusco.combine %y by %plan weighted hops [#fusco.hop<scope = scale_up, unique = assignment, mode = pull, wire = f16, bytes_per_token = 64>]
      : tensor<?x16xf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xf16>
  // A sum rounded to another type.
  // CHECK: fusco.combine {{.*}} : tensor<?x16xf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xf32>
  %3 = fusco.combine %y by %plan
      : tensor<?x16xf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xf32>
  return
}

// CHECK-LABEL: func.func @combine_scaled
func.func @combine_scaled(%y: tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>,
                          %s: tensor<?x4xf32, #fusco.expert_major<align = 1>>,
                          %bias: tensor<1x16xf32>, %residual: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) {
  // CHECK: fusco.combine %{{.*}} scaled %{{.*}} block 4 by %{{[^ ]*}} weighted plus %{{.*}}, %{{.*}} partials bf16 : tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>> scaled tensor<?x4xf32, #fusco.expert_major<align = 1>>, !fusco.plan<@ep>, tensor<1x16xf32>, tensor<?x16xbf16> -> tensor<?x16xf16>
  %0 = fusco.combine %y scaled %s block 4 by %plan weighted plus %bias, %residual partials bf16
      : tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 1>>
        scaled tensor<?x4xf32, #fusco.expert_major<align = 1>>, !fusco.plan<@ep>,
        tensor<1x16xf32>, tensor<?x16xbf16> -> tensor<?x16xf16>
  return
}

// CHECK-LABEL: func.func @dequantize
func.func @dequantize(%q: tensor<8x5x16xf8E5M2, #fusco.expert_slots<capacity = 5>>,
                      %s: tensor<8x5x1xi32, #fusco.expert_slots<capacity = 5>>) {
  // CHECK: fusco.dequantize %{{.*}}, %{{.*}} block 4 : tensor<8x5x16xf8E5M2, #fusco.expert_slots<capacity = 5>>, tensor<8x5x1xi32, #fusco.expert_slots<capacity = 5>> -> tensor<8x5x16xf32, #fusco.expert_slots<capacity = 5>>
  %0 = fusco.dequantize %q, %s block 4
      : tensor<8x5x16xf8E5M2, #fusco.expert_slots<capacity = 5>>,
        tensor<8x5x1xi32, #fusco.expert_slots<capacity = 5>>
      -> tensor<8x5x16xf32, #fusco.expert_slots<capacity = 5>>
  return
}

// CHECK-LABEL: func.func @quantize
func.func @quantize(%x: tensor<?x16xf16>, %rows: tensor<3x16xf32, #fusco.rank_major>) {
  // CHECK: fusco.quantize %{{.*}} block 16 : tensor<?x16xf16> -> tensor<?x16xf8E4M3FN>, tensor<?x1xf32>
  %0:2 = fusco.quantize %x block 16 : tensor<?x16xf16> -> tensor<?x16xf8E4M3FN>, tensor<?x1xf32>
  // CHECK: fusco.quantize %{{.*}} block 3 : tensor<3x16xf32, #fusco.rank_major> -> tensor<3x16xf8E5M2, #fusco.rank_major>, tensor<3x2xi32, #fusco.rank_major>
  %1:2 = fusco.quantize %rows block 3
      : tensor<3x16xf32, #fusco.rank_major>
      -> tensor<3x16xf8E5M2, #fusco.rank_major>, tensor<3x2xi32, #fusco.rank_major>
  return
}

// CHECK-LABEL: func.func @cast
func.func @cast(%x: tensor<?x16xf32>,
                %slots: tensor<8x5x16xbf16, #fusco.expert_slots<capacity = 5>>) {
  // CHECK: fusco.cast %{{.*}} : tensor<?x16xf32> -> tensor<?x16xbf16>
  %0 = fusco.cast %x : tensor<?x16xf32> -> tensor<?x16xbf16>
  // Layouts are kept, and token-major may be left out.
  // CHECK: fusco.cast %{{.*}} : tensor<?x16xbf16> -> tensor<?x16xf16, #fusco.token_major>
  %1 = fusco.cast %0 : tensor<?x16xbf16> -> tensor<?x16xf16, #fusco.token_major>
  // CHECK: fusco.cast %{{.*}} : tensor<8x5x16xbf16, #fusco.expert_slots<capacity = 5>> -> tensor<8x5x16xf32, #fusco.expert_slots<capacity = 5>>
  %2 = fusco.cast %slots
      : tensor<8x5x16xbf16, #fusco.expert_slots<capacity = 5>>
      -> tensor<8x5x16xf32, #fusco.expert_slots<capacity = 5>>
  return
}

// CHECK-LABEL: func.func @weight_gradient
func.func @weight_gradient(%dout: tensor<?x16xbf16>, %y: tensor<?x16xf16, #fusco.expert_major<align = 1>>,
                           %plan: !fusco.plan<@ep>) {
  // CHECK: fusco.weight_gradient %{{.*}}, %{{.*}} by %{{[^ ]*}} : tensor<?x16xbf16>, tensor<?x16xf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x6xf32>
  %0 = fusco.weight_gradient %dout, %y by %plan
      : tensor<?x16xbf16>, tensor<?x16xf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep>
      -> tensor<?x6xf32>
  return
}

// The unfused form, there and back.
// CHECK-LABEL: func.func @unfused
func.func @unfused(%x: tensor<?x16xf32>, %plan: !fusco.plan<@ep>) -> tensor<?x16xf32> {
  // CHECK: fusco.permute %{{.*}} by %{{.*}} : tensor<?x16xf32>, !fusco.plan<@ep> -> tensor<?x16xf32, #fusco.device_major<destination>>
  %0 = fusco.permute %x by %plan
      : tensor<?x16xf32>, !fusco.plan<@ep> -> tensor<?x16xf32, #fusco.device_major<destination>>
  // CHECK: fusco.all_to_all %{{.*}} by %{{.*}} -> tensor<?x16xf32, #fusco.device_major<source>>
  %1 = fusco.all_to_all %0 by %plan
      : tensor<?x16xf32, #fusco.device_major<destination>>, !fusco.plan<@ep>
      -> tensor<?x16xf32, #fusco.device_major<source>>
  // CHECK: fusco.permute %{{.*}} by %{{.*}} -> tensor<?x16xf32, #fusco.expert_major<align = 16>>
  %2 = fusco.permute %1 by %plan
      : tensor<?x16xf32, #fusco.device_major<source>>, !fusco.plan<@ep>
      -> tensor<?x16xf32, #fusco.expert_major<align = 16>>
  // CHECK: fusco.unpermute %{{.*}} by %{{[^ ]*}} : tensor<?x16xf32, #fusco.expert_major<align = 16>>, !fusco.plan<@ep> -> tensor<?x16xf32, #fusco.device_major<source>>
  %3 = fusco.unpermute %2 by %plan
      : tensor<?x16xf32, #fusco.expert_major<align = 16>>, !fusco.plan<@ep>
      -> tensor<?x16xf32, #fusco.device_major<source>>
  // CHECK: fusco.all_to_all %{{.*}} by %{{.*}} -> tensor<?x16xf32, #fusco.device_major<destination>>
  %4 = fusco.all_to_all %3 by %plan
      : tensor<?x16xf32, #fusco.device_major<source>>, !fusco.plan<@ep>
      -> tensor<?x16xf32, #fusco.device_major<destination>>
  // CHECK: fusco.unpermute %{{.*}} by %{{[^ ]*}} weighted : {{.*}} -> tensor<?x16xf32>
  %5 = fusco.unpermute %4 by %plan weighted
      : tensor<?x16xf32, #fusco.device_major<destination>>, !fusco.plan<@ep> -> tensor<?x16xf32>
  // A sum rounded to another type.
  // CHECK: fusco.unpermute {{.*}} -> tensor<?x16xbf16>
  %6 = fusco.unpermute %4 by %plan
      : tensor<?x16xf32, #fusco.device_major<destination>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %5 : tensor<?x16xf32>
}

//===----------------------------------------------------------------------===//
// pipe
//===----------------------------------------------------------------------===//

// Each way in which slots are freed.
// CHECK: pipe.channel @planned phase plan link scale_out lanes 8 depth 2 freed_by rounds{{$}}
pipe.channel @planned phase plan link scale_out lanes 8 depth 2 freed_by rounds
// CHECK: pipe.channel @rows phase rows link scale_out lanes 1 depth 4 freed_by credit at 1024{{$}}
pipe.channel @rows phase rows link scale_out lanes 1 depth 4 freed_by credit at 1024
// CHECK: pipe.channel @copies phase rows link scale_up lanes 8 depth 4 freed_by start chunks 3{{$}}
pipe.channel @copies phase rows link scale_up lanes 8 depth 4 freed_by start chunks 3
// CHECK: pipe.channel @asks phase combine link scale_out lanes 1 depth 4 freed_by answer @sums{{$}}
pipe.channel @asks phase combine link scale_out lanes 1 depth 4 freed_by answer @sums
// CHECK: pipe.channel @sums phase ready link scale_out lanes 1 depth 5 freed_by question{{$}}
pipe.channel @sums phase ready link scale_out lanes 1 depth 5 freed_by question
// CHECK: pipe.buffer @counts : memref<8x64xi32> symmetric{{$}}
pipe.buffer @counts : memref<8x64xi32> symmetric
// CHECK: pipe.buffer @tokens : memref<32xf32> plan at 192
pipe.buffer @tokens : memref<32xf32> plan at 192
// CHECK: pipe.buffer @ring : memref<1x4x640xi8> symmetric
pipe.buffer @ring : memref<1x4x640xi8> symmetric
// CHECK: pipe.buffer @whole : memref<256xi8> symmetric
pipe.buffer @whole : memref<256xi8> symmetric

// CHECK-LABEL: pipe.program @memory
// CHECK-SAME: (%[[X:.*]]: memref<?x16xbf16> {pipe.name = "x"}
// CHECK-SAME: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "rows", pipe.output})
// CHECK-SAME: attributes {fills_plan}
pipe.program @memory(%x: memref<?x16xbf16> {pipe.name = "x"},
                     %rows: memref<?x16xbf16> {pipe.name = "rows", pipe.output, pipe.expert_rows})
    attributes {fills_plan} {
  // CHECK: %[[RANK:.*]] = pipe.rank
  %rank = pipe.rank
  // CHECK: pipe.local @counts : memref<8x64xi32>
  %local = pipe.local @counts : memref<8x64xi32>
  // CHECK: pipe.peer %[[RANK]] @counts : memref<8x64xi32>
  %peer = pipe.peer %rank @counts : memref<8x64xi32>
  // CHECK: %[[WINDOW:.*]] = pipe.window %[[X]] : memref<?x16xbf16>
  %window = pipe.window %x : memref<?x16xbf16>
  // CHECK: pipe.remote %[[RANK]], %[[WINDOW]]
  %address = pipe.remote %rank, %window
  // CHECK: %[[RING:.*]] = pipe.local @ring
  %ring = pipe.local @ring : memref<1x4x640xi8>
  // CHECK: %[[SLOT:.*]] = pipe.view %[[RING]][%[[RANK]], %[[RANK]]] at 512 : memref<1x4x640xi8> to memref<4x16xbf16>
  %slot = pipe.view %ring[%rank, %rank] at 512 : memref<1x4x640xi8> to memref<4x16xbf16>
  %whole = pipe.local @whole : memref<256xi8>
  // CHECK: pipe.view %{{.*}}[] at 0 : memref<256xi8> to memref<64xf32>
  %all = pipe.view %whole[] at 0 : memref<256xi8> to memref<64xf32>
  // Rows at equal distances.
  // CHECK: pipe.view %[[RING]][%[[RANK]], %[[RANK]]] at 32 : memref<1x4x640xi8> to memref<5x16xbf16, strided<[64, 1]>>
  %packed = pipe.view %ring[%rank, %rank] at 32
      : memref<1x4x640xi8> to memref<5x16xbf16, strided<[64, 1]>>
  // CHECK: pipe.row_address %[[SLOT]][%[[RANK]]] : memref<4x16xbf16>
  %row = pipe.row_address %slot[%rank] : memref<4x16xbf16>
  pipe.return
}

// CHECK-LABEL: pipe.program @time(
pipe.program @time(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  // CHECK: %[[LANE:.*]] = pipe.rank
  %lane = pipe.rank
  // CHECK: %[[STATUS:.*]] = pipe.status
  %status = pipe.status
  %peer = arith.constant 1 : index
  %bad = arith.constant true
  // CHECK: %[[SLOT:.*]] = pipe.claim @rows[%[[LANE]]] from %[[PEER:.*]]
  %slot = pipe.claim @rows[%lane] from %peer
  // CHECK: pipe.fence
  pipe.fence
  // CHECK: pipe.signal @rows[%[[LANE]]] to %[[PEER]][%[[LANE]]]
  pipe.signal @rows[%lane] to %peer[%lane]
  // CHECK: pipe.put @ring[%[[LANE]], %[[SLOT]]] to %[[PEER]] @ring[%[[LANE]], %[[SLOT]]] bytes 64 plus %[[PEER]] times 32 signal @rows[%[[LANE]], %[[LANE]]]
  pipe.put @ring[%lane, %slot] to %peer @ring[%lane, %slot] bytes 64 plus %peer times 32
      signal @rows[%lane, %lane]
  // CHECK: pipe.put @whole[] to %[[PEER]] @whole[] bytes 256 plus %[[LANE]] times 0 signal
  pipe.put @whole[] to %peer @whole[] bytes 256 plus %lane times 0 signal @rows[%lane, %lane]
  // CHECK: pipe.put_rows %{{.*}}[%[[LANE]]] to %[[PEER]] at %[[STATUS]][%[[SLOT]]] count %[[PEER]] signal @rows[%[[LANE]], %[[LANE]]] : memref<?x16xbf16>
  pipe.put_rows %x[%lane] to %peer at %status[%slot] count %peer signal @rows[%lane, %lane]
      : memref<?x16xbf16>
  // CHECK: pipe.receive @rows[%[[LANE]]] from %[[PEER]]
  %arrived = pipe.receive @rows[%lane] from %peer
  // CHECK: pipe.held @rows[%[[LANE]]]
  %held = pipe.held @rows[%lane]
  // CHECK: pipe.release @rows[%[[LANE]]] to %[[PEER]][%[[LANE]]]
  pipe.release @rows[%lane] to %peer[%lane]
  // CHECK: pipe.pipeline chunks %[[PEER]] {
  // CHECK-NEXT: pipe.stage "send" lag 0 {
  // CHECK-NEXT: ^bb0(%{{.*}}: index):
  // CHECK: pipe.stage "forward" lag 3 {
  pipe.pipeline chunks %peer {
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: index):
      pipe.fence
    }
    pipe.stage "forward" lag 3 {
    ^bb0(%chunk: index):
    }
  }
  // CHECK: pipe.fail_if %[[BAD:.*]], refused(%[[STATUS]], %[[STATUS]], %[[STATUS]])
  pipe.fail_if %bad, refused (%status, %status, %status)
  // CHECK: pipe.fail_if %[[BAD]], invalid_routing(
  pipe.fail_if %bad, invalid_routing (%status, %status, %status)
  // CHECK: pipe.fail_if %[[BAD]], capacity(
  pipe.fail_if %bad, capacity (%status, %status, %status)
  // CHECK: pipe.fail_if %[[BAD]], peer_failed(
  pipe.fail_if %bad, peer_failed (%status, %status, %status)
  // CHECK: pipe.return
  pipe.return
}

// CHECK-LABEL: pipe.program @planning
pipe.program @planning(%ids: memref<?x6xi64> {pipe.name = "ids"},
                       %weights: memref<?x6xf32> {pipe.name = "weights"},
                       %histogram: memref<65xi32> {pipe.name = "a"},
                       %counts: memref<8x64xi32> {pipe.name = "b"},
                       %experts: memref<64xi32> {pipe.name = "c"},
                       %ranks: memref<8xi32> {pipe.name = "d"},
                       %fanout: memref<32xi32> {pipe.name = "e"},
                       %table: memref<32x6xi32> {pipe.name = "f"},
                       %factors: memref<32x6xf32> {pipe.name = "g"},
                       %stats: memref<8xi64> {pipe.name = "h"}) {
  %rank = pipe.rank
  // CHECK: pipe.histogram %{{.*}} into %{{.*}} : memref<?x6xi64>, memref<65xi32>
  %bad = pipe.histogram %ids into %histogram : memref<?x6xi64>, memref<65xi32>
  // CHECK: pipe.place {{.*}} align 16 : memref<8x64xi32> into(memref<64xi32>, memref<64xi32>, memref<64xi32>, memref<8xi32>)
  pipe.place %counts of %rank into (%experts, %experts, %experts, %ranks) align 16
      : memref<8x64xi32> into (memref<64xi32>, memref<64xi32>, memref<64xi32>, memref<8xi32>)
  // CHECK: pipe.assign %[[IDS:[^ ]*]] of %{{[^)]*}}) ranks 8 per_node 4 scale_out node scale_up assignment : memref<?x6xi64> at memref<64xi32> into({{[^)]*}}){{$}}
  pipe.assign %ids of %rank at %experts into (%fanout, %table, %table, %factors, %stats)
      ranks 8 per_node 4 scale_out node scale_up assignment
      : memref<?x6xi64> at memref<64xi32>
      into (memref<32xi32>, memref<32x6xi32>, memref<32x6xi32>, memref<32x6xf32>, memref<8xi64>)
  // CHECK: pipe.assign %[[IDS]] weights %{{[^)]*}}) order %{{[^ ]*}} ranks 8 per_node 4 scale_out assignment scale_up rank : memref<?x6xi64> weights memref<?x6xf32> at memref<64xi32> into({{[^)]*}}) order memref<32x6xi32>
  pipe.assign %ids weights %weights of %rank at %experts
      into (%fanout, %table, %table, %factors, %stats) order %table ranks 8 per_node 4
      scale_out assignment scale_up rank
      : memref<?x6xi64> weights memref<?x6xf32> at memref<64xi32>
      into (memref<32xi32>, memref<32x6xi32>, memref<32x6xi32>, memref<32x6xf32>, memref<8xi64>)
      order memref<32x6xi32>
  pipe.return
}

// CHECK-LABEL: pipe.program @rows_moved
pipe.program @rows_moved(%x: memref<?x16xbf16> {pipe.name = "x"},
                         %y: memref<?x16xf32> {pipe.name = "y"},
                         %addresses: memref<8xi64> {pipe.name = "a"},
                         %table: memref<32x6xi32> {pipe.name = "c"},
                         %factors: memref<32x6xf32> {pipe.name = "d"}) {
  %past = arith.constant true
  %i = pipe.rank
  // CHECK: pipe.copy_row %[[X:.*]][%[[I:.*]]] to %[[ADDRESSES:.*]] at(%[[TABLE:.*]], %[[TABLE]])[%[[I]], %[[I]] to %[[I]]] as memref<?x16xbf16> : memref<?x16xbf16> to memref<8xi64> at(memref<32x6xi32>, memref<32x6xi32>){{$}}
  pipe.copy_row %x[%i] to %addresses at (%table, %table)[%i, %i to %i] as memref<?x16xbf16>
      : memref<?x16xbf16> to memref<8xi64> at (memref<32x6xi32>, memref<32x6xi32>)
  // CHECK: pipe.copy_row %[[X]]{{.*}} weights %[[FACTORS:[^\[]*]][%[[I]], %[[I]] to %[[I]]] as memref<?x16xf32> streaming %[[PAST:[^ ]*]] : {{.*}} weights memref<32x6xf32>
  pipe.copy_row %x[%i] to %addresses at (%table, %table) weights %factors[%i, %i to %i]
      as memref<?x16xf32> streaming %past
      : memref<?x16xbf16> to memref<8xi64> at (memref<32x6xi32>, memref<32x6xi32>)
      weights memref<32x6xf32>
  // CHECK: pipe.store_row %[[X]][%[[I]]] to %[[Y:.*]][%[[I]]] : memref<?x16xbf16> to memref<?x16xf32>
  pipe.store_row %x[%i] to %y[%i] : memref<?x16xbf16> to memref<?x16xf32>
  // CHECK: pipe.store_row %[[X]]{{.*}} streaming %[[PAST]] :
  pipe.store_row %x[%i] to %x[%i] streaming %past : memref<?x16xbf16> to memref<?x16xbf16>
  %address = pipe.status
  // CHECK: pipe.copy_rows %[[X]][%[[I]]] to %{{.*}}[%[[I]]] count %[[I]] : memref<?x16xbf16>
  pipe.copy_rows %x[%i] to %address[%i] count %i : memref<?x16xbf16>
  // CHECK: pipe.copy_rows %[[X]]{{.*}} streaming %[[PAST]] :
  pipe.copy_rows %x[%i] to %address[%i] count %i streaming %past : memref<?x16xbf16>
  // CHECK: pipe.zero_rows %[[X]][%[[I]], %[[I]]] : memref<?x16xbf16>
  pipe.zero_rows %x[%i, %i] : memref<?x16xbf16>
  pipe.return
}

// CHECK-LABEL: pipe.program @rows_quantized
pipe.program @rows_quantized(%x: memref<?x16xbf16> {pipe.name = "x"},
                             %data: memref<?x16xf8E4M3FN> {pipe.name = "a"},
                             // CHECK: %[[SCALES:[^ ]*]]: memref<?x4xf32> {pipe.name = "b", pipe.output, pipe.scaled_columns = 4 : i64}
                             %scales: memref<?x4xf32> {pipe.name = "b", pipe.output,
                                                       pipe.scaled_columns = 4 : i64},
                             %packed: memref<?x2xi32> {pipe.name = "c"}) {
  %i = pipe.rank
  // CHECK: %[[WORKER:.*]] = pipe.worker
  %worker = pipe.worker
  // CHECK: pipe.quantize_row %{{.*}}[%{{.*}}] into %{{.*}}, %[[SCALES]][%[[WORKER]]] block 4 : memref<?x16xbf16> into memref<?x16xf8E4M3FN>, memref<?x4xf32>
  pipe.quantize_row %x[%i] into %data, %scales[%worker] block 4
      : memref<?x16xbf16> into memref<?x16xf8E4M3FN>, memref<?x4xf32>
  // CHECK: pipe.quantize_row {{.*}} block 3 : memref<?x16xbf16> into memref<?x16xf8E4M3FN>, memref<?x2xi32>
  pipe.quantize_row %x[%i] into %data, %packed[%worker] block 3
      : memref<?x16xbf16> into memref<?x16xf8E4M3FN>, memref<?x2xi32>
  pipe.return
}

// CHECK-LABEL: pipe.program @rows_summed
pipe.program @rows_summed(%x: memref<?x16xbf16> {pipe.name = "x"},
                          %sums: memref<?x16xf32> {pipe.name = "y"},
                          %addresses: memref<8xi64> {pipe.name = "a"},
                          %table: memref<32x6xi32> {pipe.name = "c"},
                          %factors: memref<32x6xf32> {pipe.name = "d"}) {
  %past = arith.constant true
  %i = pipe.rank
  // CHECK: pipe.reduce_row %[[ADDRESSES:.*]] at(%[[TABLE:.*]], %[[TABLE]])[%[[I:.*]], %[[I]] to %[[I]]] as memref<?x16xbf16> into %[[X:.*]][%[[I]]] ranks 8 per_node 4 : memref<8xi64> at(memref<32x6xi32>, memref<32x6xi32>) into memref<?x16xbf16>
  pipe.reduce_row %addresses at (%table, %table)[%i, %i to %i] as memref<?x16xbf16> into %x[%i]
      ranks 8 per_node 4
      : memref<8xi64> at (memref<32x6xi32>, memref<32x6xi32>) into memref<?x16xbf16>
  // CHECK: pipe.reduce_row %[[ADDRESSES]] at(%[[TABLE]], %[[TABLE]]) weights %{{[^\[]*}}[%[[I]], %[[I]] to %[[I]]] as memref<?x16xbf16> into %[[SUMS:.*]][%[[I]]] ranks 8 per_node 4 streaming %[[PAST:[^ ]*]] : {{.*}} weights memref<32x6xf32> into memref<?x16xf32>
  pipe.reduce_row %addresses at (%table, %table) weights %factors[%i, %i to %i]
      as memref<?x16xbf16> into %sums[%i] ranks 8 per_node 4 streaming %past
      : memref<8xi64> at (memref<32x6xi32>, memref<32x6xi32>)
      weights memref<32x6xf32> into memref<?x16xf32>
  // CHECK: pipe.merge_row %[[ADDRESSES]] count %[[I]] into %[[X]][%[[I]]] : memref<8xi64> into memref<?x16xbf16>
  pipe.merge_row %addresses count %i into %x[%i] : memref<8xi64> into memref<?x16xbf16>
  // CHECK: pipe.reduce_row %{{.*}} as memref<?x16xf8E5M2> scaled %[[ADDRESSES]] as memref<?x1xi32> block 4 into %[[X]][%[[I]]] plus %[[SUMS]], %[[X]] ranks 8 per_node 4 partials bf16 : {{.*}} scaled memref<8xi64> into memref<?x16xbf16> plus memref<?x16xf32>, memref<?x16xbf16>
  pipe.reduce_row %addresses at (%table, %table)[%i, %i to %i] as memref<?x16xf8E5M2>
      scaled %addresses as memref<?x1xi32> block 4 into %x[%i] plus %sums, %x
      ranks 8 per_node 4 partials bf16
      : memref<8xi64> at (memref<32x6xi32>, memref<32x6xi32>) scaled memref<8xi64>
      into memref<?x16xbf16> plus memref<?x16xf32>, memref<?x16xbf16>
  // CHECK: pipe.merge_row %[[ADDRESSES]] count %[[I]] into %[[X]][%[[I]]] plus %[[SUMS]], %[[X]] partials bf16 node :
  pipe.merge_row %addresses count %i into %x[%i] plus %sums, %x partials bf16 node
      : memref<8xi64> into memref<?x16xbf16> plus memref<?x16xf32>, memref<?x16xbf16>
  // CHECK: pipe.merge_row %[[ADDRESSES]]{{.*}} streaming %[[PAST]] :
  pipe.merge_row %addresses count %i into %sums[%i] streaming %past : memref<8xi64> into memref<?x16xf32>
  %address = pipe.status
  // CHECK: pipe.dot_row %[[X]][%[[I]]] with %{{.*}} as memref<?x16xf32> : memref<?x16xbf16>
  %dot = pipe.dot_row %x[%i] with %address as memref<?x16xf32> : memref<?x16xbf16>
  pipe.return
}

// CHECK-LABEL: pipe.program @workers
pipe.program @workers(%x: memref<?x16xbf16> {pipe.name = "x"}) {
  %i = pipe.rank
  // CHECK: pipe.for_each %[[I:.*]] to %[[I]] {
  // CHECK-NEXT: ^bb0(%[[J:.*]]: index):
  // CHECK-NEXT: pipe.zero_rows %{{.*}}[%[[J]], %[[J]]]
  pipe.for_each %i to %i {
  ^bb0(%j: index):
    pipe.zero_rows %x[%j, %j] : memref<?x16xbf16>
  }
  // CHECK: pipe.fork @team(%[[I]] : index)
  pipe.fork @team(%i : index)
  // CHECK: pipe.pipeline chunks %[[I]] workers 4 {
  pipe.pipeline chunks %i workers 4 {
    pipe.stage "send" lag 0 {
    ^bb0(%chunk: index):
    }
  }
  pipe.return
}
// CHECK-LABEL: pipe.team @team of @workers {
pipe.team @team of @workers {
^bb0(%x: memref<?x16xbf16>, %i: index):
  // CHECK: pipe.meet
  pipe.meet
  // CHECK: pipe.return
  pipe.return
}

// CHECK: pipe.span @call.timed call "timed"{{$}}
pipe.span @call.timed call "timed"
// CHECK: pipe.span @step.move step "move"{{$}}
pipe.span @step.move step "move"
// CHECK: pipe.span @stage.send stage "send"{{$}}
pipe.span @stage.send stage "send"
// CHECK: pipe.span @wait.planned wait "planned" of @planned
pipe.span @wait.planned wait "planned" of @planned
// CHECK: pipe.span @put.planned put "planned" of @planned
pipe.span @put.planned put "planned" of @planned
// CHECK-LABEL: pipe.program @timed
pipe.program @timed() {
  %i = pipe.rank
  // CHECK: pipe.mark begin @call.timed{{$}}
  pipe.mark begin @call.timed
  // CHECK: pipe.step "move"{{$}}
  pipe.step "move"
  // CHECK: pipe.mark begin @stage.send chunk %{{.*}}
  pipe.mark begin @stage.send chunk %i
  // CHECK: pipe.mark end @stage.send{{$}}
  pipe.mark end @stage.send
  // CHECK: pipe.mark end @call.timed
  pipe.mark end @call.timed
  pipe.return
}
