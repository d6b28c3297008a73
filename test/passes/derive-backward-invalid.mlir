// RUN: fusco-opt %s --fusco-derive-backward --split-input-file --verify-diagnostics

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4, topology = <nodes = 1, ranks_per_node = 2>, placement = <block>}
func.func @combine(%y: tensor<?x16xbf16, #fusco.expert_major<align = 4>>, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  %out = fusco.combine %y by %plan : tensor<?x16xbf16, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %out : tensor<?x16xbf16>
}
// expected-error@+1 {{has the name of the backward that is derived of 'combine'; rename it, or derive no backward functions}}
func.func private @combine_backward()

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4, topology = <nodes = 1, ranks_per_node = 2>, placement = <block>}
func.func @combine(%y: tensor<?x16xbf16, #fusco.rank_major>, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected the layout expert_major, of which a backward can be derived, got 'tensor<?x16xbf16, #fusco.rank_major>'}}
  %out = fusco.combine %y by %plan : tensor<?x16xbf16, #fusco.rank_major>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %out : tensor<?x16xbf16>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4, topology = <nodes = 1, ranks_per_node = 2>, placement = <block>}
func.func @dispatch(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) -> tensor<4x5x16xbf16, #fusco.expert_slots<capacity = 5>> {
  // expected-error@+1 {{expected the layout expert_major, of which a backward can be derived, got 'tensor<4x5x16xbf16, #fusco.expert_slots<capacity = 5>>'}}
  %rows, %counts, %offsets = fusco.dispatch %x by %plan : tensor<?x16xbf16>, !fusco.plan<@ep> -> tensor<4x5x16xbf16, #fusco.expert_slots<capacity = 5>>, tensor<4xi32>, tensor<5xi32>
  return %rows : tensor<4x5x16xbf16, #fusco.expert_slots<capacity = 5>>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4, topology = <nodes = 1, ranks_per_node = 2>, placement = <block>}
func.func @scatter(%x: tensor<?x16xbf16>, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16, #fusco.expert_major<align = 4>> {
  // expected-error@+1 {{expected a dispatch without weights to derive the backward of, got 'weighted'}}
  %rows, %counts, %offsets = fusco.dispatch %x by %plan weighted : tensor<?x16xbf16>, !fusco.plan<@ep> -> tensor<?x16xbf16, #fusco.expert_major<align = 4>>, tensor<4xi32>, tensor<5xi32>
  return %rows : tensor<?x16xbf16, #fusco.expert_major<align = 4>>
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4, topology = <nodes = 1, ranks_per_node = 2>, placement = <block>}
!data = tensor<?x16xf8E4M3FN, #fusco.expert_major<align = 4>>
!scales = tensor<?x4xf32, #fusco.expert_major<align = 4>>
func.func @several(%x: tensor<?x16xf8E4M3FN>, %s: tensor<?x4xf32>, %plan: !fusco.plan<@ep>) -> (!data, !scales) {
  // expected-error@+1 {{expected a dispatch of one tensor to derive the backward of, got 2}}
  %r:4 = fusco.dispatch %x, %s by %plan : (tensor<?x16xf8E4M3FN>, tensor<?x4xf32>), !fusco.plan<@ep> -> (!data, !scales), tensor<4xi32>, tensor<5xi32>
  return %r#0, %r#1 : !data, !scales
}

// -----

fusco.group @ep {experts = 8, topk = 2, max_tokens = 4, topology = <nodes = 1, ranks_per_node = 2>, placement = <block>}
func.func @combine(%y: tensor<?x16xf8E5M2, #fusco.expert_major<align = 4>>, %s: tensor<?x1xf32, #fusco.expert_major<align = 4>>, %plan: !fusco.plan<@ep>) -> tensor<?x16xbf16> {
  // expected-error@+1 {{expected rows of bf16, f16 or f32 to derive the backward of, got 'tensor<?x16xf8E5M2, #fusco.expert_major<align = 4>>', which are 'scaled'; combine those of a dequantization}}
  %out = fusco.combine %y scaled %s block 16 by %plan : tensor<?x16xf8E5M2, #fusco.expert_major<align = 4>> scaled tensor<?x1xf32, #fusco.expert_major<align = 4>>, !fusco.plan<@ep> -> tensor<?x16xbf16>
  return %out : tensor<?x16xbf16>
}
