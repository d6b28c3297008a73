// A backward goes by the plan of its forward. That of a combine also computes the
// gradients of weights, each where the expert's row is.
// DEFINE: %{lower} = fusco-opt --fusco-derive-backward --fusco-plan-dedup="unique=assignment" \
// DEFINE:   --fusco-lower-to-pipe="chunk-tokens=4" --canonicalize --cse
// RUN: %{lower} %s | FileCheck %s
// RUN: sed 's/nodes = 2, ranks_per_node = 2/nodes = 1, ranks_per_node = 4/' %s | %{lower} \
// RUN:   | FileCheck %s --check-prefix=ONE --implicit-check-not=pipe.pipeline

fusco.group @ep {experts = 8, topk = 2, max_tokens = 32,
                 topology = <nodes = 2, ranks_per_node = 2>, placement = <block>}
!rows = tensor<?x16xbf16, #fusco.expert_major<align = 8>>

// Rows to forwarders again, but answered: a gradient for each of a unit's topk
// assignments. Which k a descriptor is of, and where experts' rows are, only this
// needs to know. Wide rows of the backward decide the rings' size.
// CHECK:      pipe.channel @rows_out {{.*}} freed_by credit
// CHECK-NEXT: pipe.channel @gradient_rows_out phase rows link scale_out lanes 1 depth 4 freed_by answer @gradients
// CHECK-NEXT: pipe.channel @gradients phase rows link scale_out lanes 1 depth 4 freed_by question
// CHECK-NEXT: pipe.buffer @gradients_sent : memref<1x{{[0-9]+}}x64xi8> symmetric
// CHECK-NEXT: pipe.buffer @gradients_taken : memref<1x4x64xi8> symmetric
// CHECK-NEXT: pipe.buffer @rows_sent : memref<1x{{[0-9]+}}x832xi8> symmetric
// CHECK:      pipe.buffer @order : memref<32x2xi32> plan
// CHECK-NEXT: pipe.buffer @output_addresses : memref<4xi64> plan
// ONE-NOT:    pipe.channel @gradients
// ONE:        pipe.buffer @order

// CHECK-LABEL: pipe.program @dispatch(
// CHECK: %[[ORDER:.*]] = pipe.local @order
// CHECK: pipe.assign {{.*}} order %[[ORDER]]
func.func @dispatch(%x: tensor<?x16xf32>, %ids: tensor<?x2xi32>, %weights: tensor<?x2xf32>)
    -> (!rows, !fusco.plan<@ep>) {
  %plan = fusco.plan %ids, %weights in @ep : tensor<?x2xi32>, tensor<?x2xf32> -> !fusco.plan<@ep>
  %r:3 = fusco.dispatch %x by %plan : tensor<?x16xf32>, !fusco.plan<@ep> -> !rows, tensor<2xi32>, tensor<3xi32>
  return %r#0, %plan : !rows, !fusco.plan<@ep>
}

// A sum without weights.
// CHECK-LABEL: pipe.program @dispatch_backward(
// CHECK-SAME: %[[DROWS:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "drows"}
// CHECK-SAME: %[[DX:[^:]*]]: memref<?x16xf32> {pipe.name = "dx", pipe.output})
// CHECK: pipe.window %[[DROWS]]
// CHECK: pipe.stage "sum"
// CHECK: pipe.reduce_row %{{[^ ]*}} at(%{{[^)]*}})[
// CHECK: pipe.merge_row {{.*}} into %[[DX]]

// CHECK-LABEL: pipe.program @combine(
// CHECK: pipe.reduce_row {{.*}} weights
func.func @combine(%y: !rows, %plan: !fusco.plan<@ep>) -> tensor<?x16xf32> {
  %z = fusco.combine %y by %plan weighted : !rows, !fusco.plan<@ep> -> tensor<?x16xf32>
  return %z : tensor<?x16xf32>
}

// CHECK-LABEL: pipe.program @combine_backward(
// CHECK-SAME: %[[DOUT:[^:]*]]: memref<?x16xf32> {pipe.name = "dout"}
// CHECK-SAME: %[[Y:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "y"}
// CHECK-SAME: %[[DY:[^:]*]]: memref<?x16xbf16> {pipe.expert_rows, pipe.name = "dy", pipe.output}
// CHECK-SAME: %[[DWEIGHTS:[^:]*]]: memref<?x2xf32> {pipe.name = "dweights", pipe.output})
// CHECK-NOT:  fills_plan
// Both rows that peers address; what fits in both is the room.
// CHECK-DAG:  %[[DY_ROOM:.*]] = memref.dim %[[DY]], %c0
// CHECK-DAG:  %[[Y_ROOM:.*]] = memref.dim %[[Y]], %c0
// CHECK:      arith.minsi %[[DY_ROOM]], %[[Y_ROOM]]
// CHECK:      pipe.window %[[DY]]
// CHECK:      pipe.window %[[Y]]
// CHECK:      pipe.receive @outputs_ready
// CHECK:      %[[ADDRESSES:.*]] = pipe.local @addresses
// CHECK:      %[[OUTPUTS:.*]] = pipe.local @output_addresses
// An assignment that is not routed has the gradient 0.
// CHECK:      memref.store %{{.*}}, %[[DWEIGHTS]]

// CHECK:      pipe.stage "send" lag 0 {
// CHECK:        pipe.claim @gradient_rows_out
// CHECK:        pipe.copy_row %[[DOUT]][{{.*}} to %[[ADDRESSES]] {{.*}} weights %{{.*}} as memref<?x16xbf16> :
// CHECK:          %[[EXPERTS:.*]] = memref.load %[[OUTPUTS]]
// CHECK:          %[[AT:.*]] = arith.addi %[[EXPERTS]],
// CHECK-NEXT:     %[[DOT:.*]] = pipe.dot_row %[[DOUT]][%{{.*}}] with %[[AT]] as memref<?x16xbf16> :
// CHECK:          %[[K:.*]] = arith.index_cast
// CHECK-NEXT:     memref.store %[[DOT]], %[[DWEIGHTS]][%{{.*}}, %[[K]]]
// CHECK:        pipe.store_row %[[DOUT]]{{.*}} : memref<?x16xf32> to memref<8x16xf32>
// CHECK:        pipe.put @rows_sent[{{.*}} times 64 signal @gradient_rows_out

// CHECK:      pipe.stage "forward" lag 1 {
// CHECK:        pipe.receive @gradient_rows_out
// CHECK:        pipe.copy_row {{.*}} weights
// CHECK:        pipe.claim @gradients
// CHECK:        %[[DOT:.*]] = pipe.dot_row
// CHECK-NEXT:   memref.store %[[DOT]], %{{.*}} : memref<8x2xf32>
// CHECK:        pipe.put @gradients_sent[{{.*}} @gradients_taken[{{.*}} bytes 0 plus %{{.*}} times 8 signal @gradients
// CHECK:        pipe.release @gradient_rows_out

// CHECK:      pipe.stage "collect" lag 2 {
// CHECK:        pipe.receive @gradients
// CHECK:        memref.store %{{.*}}, %[[DWEIGHTS]]
// CHECK:        pipe.release @gradients
// CHECK-NOT:  pipe.stage
// CHECK:      pipe.zero_rows %[[DY]]
// CHECK:      pipe.return

// On one node a rank computes all its gradients itself.
// ONE-LABEL: pipe.program @combine_backward(
// ONE-SAME: %[[DWEIGHTS:[^:]*]]: memref<?x2xf32> {pipe.name = "dweights", pipe.output})
// ONE: pipe.copy_row {{.*}} weights
// ONE: %[[DOT:.*]] = pipe.dot_row
// ONE: memref.store %[[DOT]], %[[DWEIGHTS]]
