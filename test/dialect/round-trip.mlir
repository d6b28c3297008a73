// Every operation and attribute, every optional clause with it and without.
// RUN: fusco-opt %s --verify-roundtrip | FileCheck %s

//===----------------------------------------------------------------------===//
// fusco
//===----------------------------------------------------------------------===//

// CHECK: fusco.group @ep {experts = 64, topk = 6, max_tokens = 32, topology = <nodes = 2, ranks_per_node = 4>, placement = <block>}
fusco.group @ep {experts = 64, topk = 6, max_tokens = 32,
                 topology = <nodes = 2, ranks_per_node = 4>, placement = <block>}

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
  // CHECK: fusco.dispatch %{{.*}} by %{{[^ ]*}} hops [#fusco.hop<reach = all, unique = assignment>] :
  %1:3 = fusco.dispatch %x by %plan hops [#fusco.hop<reach = all, unique = assignment>]
      : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<?x16xbf16, #fusco.rank_major>, tensor<8xi32>, tensor<9xi32>
  // CHECK: fusco.dispatch
  // CHECK-SAME: -> tensor<8x5x16xbf16, #fusco.expert_slots<capacity = 5>>
  %2:3 = fusco.dispatch %x by %plan
      : tensor<?x16xbf16>, !fusco.plan<@ep>
      -> tensor<8x5x16xbf16, #fusco.expert_slots<capacity = 5>>, tensor<8xi32>, tensor<9xi32>
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
  // CHECK: fusco.combine %{{.*}} by %{{[^ ]*}} weighted hops [#fusco.hop<reach = all, unique = assignment>] :
  %2 = fusco.combine %y by %plan weighted hops [#fusco.hop<reach = all, unique = assignment>]
      : tensor<?x16xf16, #fusco.expert_major<align = 1>>, !fusco.plan<@ep> -> tensor<?x16xf16>
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
  return %5 : tensor<?x16xf32>
}

//===----------------------------------------------------------------------===//
// pipe
//===----------------------------------------------------------------------===//

// CHECK: pipe.counter @planned phase plan peers 8{{$}}
pipe.counter @planned phase plan peers 8
// CHECK: pipe.counter @arrived phase rows peers 8 at 1024
pipe.counter @arrived phase rows peers 8 at 1024
// CHECK: pipe.counter @ready phase ready peers 1
pipe.counter @ready phase ready peers 1
// CHECK: pipe.counter @taken phase combine peers 1
pipe.counter @taken phase combine peers 1
// CHECK: pipe.buffer @counts : memref<8x64xi32> symmetric{{$}}
pipe.buffer @counts : memref<8x64xi32> symmetric
// CHECK: pipe.buffer @tokens : memref<32xf32> plan at 192
pipe.buffer @tokens : memref<32xf32> plan at 192

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
  pipe.return
}

// CHECK-LABEL: pipe.program @time() {
pipe.program @time() {
  %rank = pipe.rank
  // CHECK: %[[STATUS:.*]] = pipe.status
  %status = pipe.status
  %bad = arith.constant true
  // CHECK: pipe.turn @arrived
  %turn = pipe.turn @arrived
  // CHECK: pipe.fence
  pipe.fence
  // CHECK: pipe.signal @arrived to %{{.*}}
  pipe.signal @arrived to %rank
  // CHECK: pipe.wait @arrived from %{{.*}}
  pipe.wait @arrived from %rank
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
  // CHECK: pipe.assign %[[IDS:[^ ]*]] of %{{.*}} ranks 8 per_node 4 : memref<?x6xi64> at memref<64xi32>
  pipe.assign %ids of %rank at %experts into (%fanout, %table, %table, %factors, %stats)
      ranks 8 per_node 4
      : memref<?x6xi64> at memref<64xi32>
      into (memref<32xi32>, memref<32x6xi32>, memref<32x6xi32>, memref<32x6xf32>, memref<8xi64>)
  // CHECK: pipe.assign %[[IDS]] weights %{{.*}} ranks 8 per_node 4 : memref<?x6xi64> weights memref<?x6xf32> at memref<64xi32>
  pipe.assign %ids weights %weights of %rank at %experts
      into (%fanout, %table, %table, %factors, %stats) ranks 8 per_node 4
      : memref<?x6xi64> weights memref<?x6xf32> at memref<64xi32>
      into (memref<32xi32>, memref<32x6xi32>, memref<32x6xi32>, memref<32x6xf32>, memref<8xi64>)
  pipe.return
}

// CHECK-LABEL: pipe.program @rows
pipe.program @rows(%x: memref<?x16xbf16> {pipe.name = "x"},
                   %addresses: memref<8xi64> {pipe.name = "a"},
                   %fanout: memref<32xi32> {pipe.name = "b"},
                   %table: memref<32x6xi32> {pipe.name = "c"},
                   %factors: memref<32x6xf32> {pipe.name = "d"}) {
  %token = pipe.rank
  // CHECK: pipe.copy_row %[[X:.*]][%{{.*}}] to %{{.*}} at(%{{.*}}, %{{.*}}, %{{[^ ]*}}) : memref<?x16xbf16> to memref<8xi64>
  pipe.copy_row %x[%token] to %addresses at (%fanout, %table, %table)
      : memref<?x16xbf16> to memref<8xi64> at (memref<32xi32>, memref<32x6xi32>, memref<32x6xi32>)
  // CHECK: pipe.copy_row %[[X]]{{.*}} streaming :
  pipe.copy_row %x[%token] to %addresses at (%fanout, %table, %table) streaming
      : memref<?x16xbf16> to memref<8xi64> at (memref<32xi32>, memref<32x6xi32>, memref<32x6xi32>)
  %address = pipe.status
  // CHECK: pipe.copy_rows %[[X]][%{{.*}}] to %{{.*}}[%{{.*}}] count %{{[^ ]*}} : memref<?x16xbf16>
  pipe.copy_rows %x[%token] to %address[%token] count %token : memref<?x16xbf16>
  // CHECK: pipe.copy_rows %[[X]]{{.*}} streaming :
  pipe.copy_rows %x[%token] to %address[%token] count %token streaming : memref<?x16xbf16>
  // CHECK: pipe.reduce_row %{{[^ ]*}} at(%{{.*}}) into %[[X]][%{{.*}}] ranks 8 per_node 4 :
  pipe.reduce_row %addresses at (%fanout, %table, %table) into %x[%token] ranks 8 per_node 4
      : memref<8xi64> at (memref<32xi32>, memref<32x6xi32>, memref<32x6xi32>) into memref<?x16xbf16>
  // CHECK: pipe.reduce_row %{{[^ ]*}} at(%{{.*}}) weights %{{[^ ]*}} into {{.*}} ranks 8 per_node 4 streaming : {{.*}} weights memref<32x6xf32> into memref<?x16xbf16>
  pipe.reduce_row %addresses at (%fanout, %table, %table) weights %factors into %x[%token]
      ranks 8 per_node 4 streaming
      : memref<8xi64> at (memref<32xi32>, memref<32x6xi32>, memref<32x6xi32>)
      weights memref<32x6xf32> into memref<?x16xbf16>
  // CHECK: pipe.zero_rows %[[X]][%{{.*}}, %{{.*}}] : memref<?x16xbf16>
  pipe.zero_rows %x[%token, %token] : memref<?x16xbf16>
  pipe.return
}
