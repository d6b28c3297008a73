//===- FuscoOps.td - Operations of the fusco dialect ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each constraint has a label (`dispatch_c1`) that stands in the description
// here, in the verifier and in the name of the test that breaks it
// (test/dialect/invalid.mlir).
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_DIALECT_FUSCOOPS_TD
#define FUSCO_DIALECT_FUSCOOPS_TD

include "FuscoDialect.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Fusco_Op<string mnemonic, list<Trait> traits = []>
    : Op<Fusco_Dialect, mnemonic, traits>;

def Fusco_Ids : 2DTensorOf<[I32, I64]>;
def Fusco_Weights : 2DTensorOf<[F32]>;
def Fusco_Rows : RankedTensorOf<[BF16, F16, F32]>;
/// What a dispatch may move beside rows of numbers: rows that are quantised, their
/// scales, and ids.
def Fusco_Payload : RankedTensorOf<[BF16, F16, F32, F8E4M3FN, F8E5M2, I32, I64]>;
def Fusco_Int32s : 1DTensorOf<[I32]>;

def Fusco_GroupOp : Fusco_Op<"group", [Symbol]> {
  let summary = "an expert-parallel group of ranks";
  let description = [{
    The shape that everything is specialised for: `experts` in all, `topk` ids
    per token, at most `max_tokens` tokens per rank, on a topology, with experts
    placed on ranks.

    ```mlir
    fusco.group @ep {experts = 64, topk = 6, max_tokens = 1024,
                     topology = <nodes = 2, ranks_per_node = 4>, placement = <block>}
    ```

    - (group_c1) `experts` is at least 1.
    - (group_c2) `topk` is from 1 to `experts`.
    - (group_c3) `max_tokens` is at least 0.
    - (group_c4) the rows of a rank at worst, ranks * max_tokens * topk, fit in
      31 bits, since slots are int32, and so do physical experts.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$experts,
    I64Attr:$topk, I64Attr:$max_tokens, Fusco_TopologyAttr:$topology,
    Fusco_PlacementAttr:$placement);
  let assemblyFormat = [{
    $sym_name ` ` `{` `experts` `=` $experts `,` `topk` `=` $topk `,`
    `max_tokens` `=` $max_tokens `,` `topology` `=` $topology `,`
    `placement` `=` $placement `}` attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    bool hasTable() {
      return getPlacement().getKind() == ::fusco::PlacementKind::Table;
    }
    /// Experts, replicas counted.
    int64_t getPhysicalExperts() {
      return getExperts() + getPlacement().getRedundant();
    }
  }];
}

def Fusco_PlanOp : Fusco_Op<"plan", [Pure, AttrSizedOperandSegments,
                                     DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "plan a shuffle from the router's choice";
  let description = [{
    `ids` are global experts, -1 where a token has fewer than `topk`; an expert
    that stands twice is two assignments. `weights` are the router's; they are
    needed where a combine is `weighted`.

    `placement` says which expert each physical one is. It may be another one in
    each call, on all ranks the same, and has every expert; else the dispatch is
    an error of all ranks, before anything moves.

    The assignments of an expert with several replicas are divided among these,
    so that the rank with the most rows has few. With c(e) the assignments that
    all ranks have for expert e, its replicas get quotas, which sum up to c(e):

    - The load of a rank is the sum of the quotas of its physical experts. An
      expert with one replica gives it c(e); all other quotas start at 0.
    - A sweep goes over the experts with several replicas, and assignments at
      all, in ascending order and fills each one's quotas anew: with these at 0,
      of its replicas, in ascending order and of those on one rank the first
      only, some are active, at first all. The level is ceil((c(e) + the sum of
      the active ones' ranks' loads) / their number). Those whose rank's load is
      at the level or above it are no longer active, and the level is taken anew,
      until there are none. Then in ascending order each active one's quota is
      what its rank's load lacks to the level, or what is left of c(e) if that is
      less.
    - Sweeps end with the first that changes no quota, or the 16th.

    The assignments of e in the order (source rank, token, k) then go to its
    replicas in ascending order, to each as many as its quota. (Water filling,
    expert by expert, is coordinate descent on the sum of squared loads, which
    ends where the largest is least but for rounding.)

    - (plan_c1) `group` names a fusco.group, and the plan is of that group.
    - (plan_c2) `ids` has the shape [?, topk].
    - (plan_c3) `weights` has the shape of `ids`.
    - (plan_c4) `placement` is there exactly where the group's placement is
      `table`, and has an entry for each physical expert.
  }];
  let arguments = (ins Fusco_Ids:$ids, Optional<Fusco_Weights>:$weights,
                       Optional<Fusco_Int32s>:$placement,
                       FlatSymbolRefAttr:$group);
  let results = (outs Fusco_PlanType:$plan);
  let assemblyFormat = [{
    $ids (`,` $weights^)? (`placed` $placement^)? `in` $group attr-dict `:`
    type($ids) (`,` type($weights)^)? (`placed` type($placement)^)? `->`
    qualified(type($plan))
  }];
}

/// An operation that moves rows as a plan says.
class Fusco_ShuffleOp<string mnemonic, list<Trait> traits = []>
    : Fusco_Op<mnemonic, traits # [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let hasVerifier = 1;
}

def Fusco_DispatchOp : Fusco_ShuffleOp<"dispatch", [AttrSizedResultSegments]> {
  let summary = "move each token's row to the experts that it is routed to";
  let description = [{
    Row t of each of `xs` goes to the slot of each of token t's assignments in
    the result that belongs to it. `counts` are the rows of each local expert,
    `offsets` the row at which its segment starts, and then the total with pads;
    where ranks hold unequal numbers of experts, the entries of experts that a
    rank does not have count 0 and start at the total. In expert slots every
    offset is a multiple of the capacity. Rank-major, a rank counts as one
    expert: `counts` has one entry and `offsets` two. Where a result has another
    element type than its x, each row is cast on the way, as `fusco.cast` does.

    `transform` says instead how the rows of the results are made of a token's
    rows, on the way, where the rows are read.

    Where `weighted`, each element is multiplied by its assignment's weight on
    the way, in float32, and the product rounded once to the type of `rows`, to
    nearest even; denormals and the sign of a zero are kept, and a NaN result has
    the bits 0x7FFF (bf16, f16) or 0x7FFFFFFF (f32). Where the plan was made
    without weights, they are 1.

    `kept_ids`, which may be left out, are the ids of the plan with -1 for those
    assignments that have no row, since their expert's slots overflow.

    `by_columns` are the numbers of results of rows whose memory is by columns:
    rows of a column stand one behind the other, in expert_slots for each expert
    by itself, as consumers that read scales with TMA want them. To C such a
    tensor has the shape [columns, rows], or [experts, columns, capacity]; there
    are as many rows as of all other results.

    `row_weights`, which may be left out, is the router's weight of each row's
    assignment, in the rows' layout: what experts need that apply it themselves.

    `ready`, which may be left out, says which rows are there while others are
    still under way, to a consumer that runs beside the dispatch. A *tile* is
    `align` rows of expert_major, from a multiple of that on, or the slots of an
    expert. Entry 0 becomes 1 when counts, offsets and pads are there; entry 1 +
    i counts the rows of tile i, with their scales and weights, and is whole when
    that is what counts and offsets say of the tile. Whoever reads an entry with
    acquire sees those rows. The caller zeroes the tensor before the dispatch
    begins.

    `local_ids` is the number of a tensor of ids, as fusco.plan takes them: each
    that is one of the destination's own experts becomes its number there, from
    0, and all others become -1.

    ```mlir
    %rows, %counts, %offsets = fusco.dispatch %x by %plan
        : tensor<?x2048xbf16>, !fusco.plan<@ep>
        -> tensor<?x2048xbf16, #fusco.expert_major<align = 16>>, tensor<8xi32>, tensor<9xi32>

    %tokens, %local, %theirs, %count, %ends = fusco.dispatch %x, %ids, %w by %plan local_ids 1
        : (tensor<?x2048xbf16>, tensor<?x6xi32>, tensor<?x6xf32>), !fusco.plan<@ep>
        -> (tensor<?x2048xbf16, #fusco.rank_major>, tensor<?x6xi32, #fusco.rank_major>,
            tensor<?x6xf32, #fusco.rank_major>), tensor<1xi32>, tensor<2xi32>

    %q, %scales, %counts, %offsets = fusco.dispatch %x by %plan transform {
    ^bb0(%row: tensor<?x2048xbf16>):
      %data, %scale = fusco.quantize %row block 128
          : tensor<?x2048xbf16> -> tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>
      fusco.yield %data, %scale : tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>
    } : tensor<?x2048xbf16>, !fusco.plan<@ep>
        -> (tensor<?x2048xf8E4M3FN, #fusco.expert_major<align = 16>>,
            tensor<?x16xf32, #fusco.expert_major<align = 16>>), tensor<8xi32>, tensor<9xi32>
    ```

    - (dispatch_c1) each of `xs` is token-major.
    - (dispatch_c2) the results of rows are all expert-major, rank-major or in
      expert slots, and alike.
    - (dispatch_c3) without `transform`, there are as many results of rows as
      `xs`, each with the hidden size of its x.
    - (dispatch_c4) the plan's group is a fusco.group.
    - (dispatch_c5) `counts` has ceil(experts / ranks) entries, rank-major one,
      and `offsets` one more.
    - (dispatch_c6) without `transform`, element types differ only among bf16,
      f16 and f32.
    - (dispatch_c7) `transform` takes the types of `xs` and yields those of the
      results of rows, all without layouts.
    - (dispatch_c8) what stands in `transform` is row-wise: a fusco.quantize of
      one of its arguments, both results of which are yielded, once.
    - (dispatch_c9) a `weighted` dispatch has one x and no `transform`, and no
      quantised rows.
    - (dispatch_c10) there are from 1 to 4 results of rows.
    - (dispatch_c11) rows in expert slots have ceil(experts / ranks) experts.
    - (dispatch_c12) `local_ids` is the number of a rank-major result of
      integers with topk columns, which are moved as they are.
    - (dispatch_c13) `kept_ids` is there only where slots that overflow drop
      rows, and has the shape [?, topk].
    - (dispatch_c14) `row_weights` is of f32, with one column, in the layout of
      the rows, which is expert_major or expert_slots.
    - (dispatch_c15) `ready` has one entry more than a rank has tiles at most,
      of rows in expert_major or expert_slots.
    - (dispatch_c16) `by_columns` are numbers of results of rows, ascending, of f32
      or i32 in expert_major or expert_slots, of which there are others too.

    `hops` is how the rows travel, which `fusco-plan-dedup` decides: on several
    nodes `[scale_out, scale_up]`, on one `[scale_up]`. Where the scale_up hop is
    unique per rank, a row is written into the first of its slots on a rank, and
    that rank copies it to its other slots itself.
  }];
  let arguments = (ins Variadic<Fusco_Payload>:$xs, Fusco_PlanType:$plan,
                       UnitAttr:$weighted, OptionalAttr<I64Attr>:$local_ids,
                       OptionalAttr<DenseI64ArrayAttr>:$by_columns,
                       OptionalAttr<Fusco_HopsAttr>:$hops);
  let results = (outs Variadic<Fusco_Payload>:$payloads, Fusco_Int32s:$counts,
                      Fusco_Int32s:$offsets, Optional<Fusco_Ids>:$kept_ids,
                      Optional<Fusco_Rows>:$row_weights,
                      Optional<Fusco_Int32s>:$ready);
  let regions = (region MaxSizedRegion<1>:$transform);
  let assemblyFormat = [{
    $xs `by` $plan (`weighted` $weighted^)? (`local_ids` $local_ids^)?
    (`by_columns` $by_columns^)? (`hops` $hops^)? (`transform` $transform^)? attr-dict `:` custom<PayloadTypes>(type($xs)) `,`
    qualified(type($plan)) `->` custom<PayloadTypes>(type($payloads)) `,`
    type($counts) `,` type($offsets) (`kept` type($kept_ids)^)?
    (`row_weights` type($row_weights)^)? (`ready` type($ready)^)?
  }];
  let builders = [
    /// One x, as it is or cast.
    OpBuilder<(ins "::mlir::Type":$rows, "::mlir::Type":$counts,
                   "::mlir::Type":$offsets, "::mlir::Value":$x,
                   "::mlir::Value":$plan, "bool":$weighted)>
  ];
  let extraClassDeclaration = [{
    using Payload = ::mlir::TypedValue<::mlir::RankedTensorType>;
    /// The first x, the first result of rows that are not scales. There is one
    /// of each, but where several tensors are dispatched at once.
    Payload getX() { return ::llvm::cast<Payload>(getXs().front()); }
    Payload getRows();
    unsigned getRowsNumber(); ///< of getRows() among `payloads`
    /// The fusco.quantize of the `transform` that makes result \p i of rows, null
    /// where none does; and whether these are its scales.
    ::fusco::QuantizeOp getQuantize(unsigned i);
    bool isScales(unsigned i);
    /// Whether result \p i of rows is stored by columns.
    bool isByColumns(unsigned i) {
      return getByColumns() && ::llvm::is_contained(*getByColumns(), i);
    }
    bool hasTransform() { return !getTransform().empty(); }
    /// Whether rows are moved as they are, or cast.
    bool isPlain() { return getXs().size() == 1 && !hasTransform(); }
    /// What result \p i of rows is made of: one of `xs`, or where there is a
    /// `transform`, a block argument of it or what a fusco.quantize makes.
    ::mlir::Value getSource(unsigned i);
    /// The element type in which row \p i crosses to other nodes: the narrower
    /// one; and what is yet to be weighted has not been rounded.
    ::mlir::Type getWire(unsigned i);
  }];
}

def Fusco_YieldOp : Fusco_Op<"yield", [Pure, Terminator, HasParent<"DispatchOp">]> {
  let summary = "the rows that a transform makes";
  let arguments = (ins Variadic<Fusco_Payload>:$rows);
  let assemblyFormat = "$rows attr-dict `:` type($rows)";
}

def Fusco_CombineOp : Fusco_ShuffleOp<"combine", [AttrSizedOperandSegments]> {
  let summary = "bring the experts' rows back and sum them per token";
  let description = [{
    The adjoint of dispatch: row t of the result is the sum of the rows of token
    t's assignments, each times its weight where `weighted`. The sum is taken in
    float32 in one fixed tree: within a rank acc = fma(w, z, acc) for k ascending
    from +0; then the ranks of a node that hold an assignment of the token, added
    in ascending order; then the nodes likewise; then one rounding to the result's
    type, which need not be that of `y`, to nearest even. A token without
    assignments gives +0. A NaN result has the bits 0x7FFF (bf16, f16) or
    0x7FFFFFFF (f32).

    Where `y` is `scaled`, its rows are float8 with scales for every `block`
    elements, and what is summed is what fusco.dequantize makes of them: z is an
    element times its block's scale, rounded to float32, whatever w is.

    `plus` adds up to two summands to that sum in float32, in their order, before
    the rounding: row t of a tensor of tokens, such as a residual or a shared
    expert's output, or the one row of a tensor that has no other, a bias.

    `partials`, if given, is the type of partial sums: f32, as without it, or
    bf16. With bf16 the sum of each rank that holds an assignment of the token is
    rounded to bf16 before ranks are added, and each node's sum of those before
    nodes are added, to nearest even; the sum of the nodes is float32. So it is
    whether or not a partial sum travels: the bits do not depend on the plan.

    `hops` is how the rows travel, which `fusco-plan-dedup` decides: on several
    nodes `[scale_up, scale_out]`, on one `[scale_up]`. A scale_up hop per
    assignment pulls: the forwarder (on the token's own node, its rank) reads
    each row where it is. Per rank it pushes: each rank sums its rows of a token
    and sends one partial sum. The scale_out hop is always unique per node, since
    the tree sums a node first: it carries one partial sum.

    ```mlir
    %out = fusco.combine %y scaled %scales block 128 by %plan weighted
        plus %bias, %residual partials bf16
        : tensor<?x2048xf8E4M3FN, #fusco.expert_major<align = 16>>
          scaled tensor<?x16xf32, #fusco.expert_major<align = 16>>,
          !fusco.plan<@ep>, tensor<1x2048xbf16>, tensor<?x2048xbf16>
        -> tensor<?x2048xbf16>
    ```

    - (combine_c1) `y` is expert-major, rank-major or in expert slots.
    - (combine_c2) the result is token-major.
    - (combine_c3) the result has the hidden size of `y`.
    - (combine_c4) the plan's group is a fusco.group.
    - (combine_c5) rows in expert slots have ceil(experts / ranks) experts.
    - (combine_c6) each of `summands` is token-major, of the hidden size of `y`,
      and there are at most two.
    - (combine_c7) where `y` is rank-major, the combine is not `weighted`.
    - (combine_c8) `y` is of float8 where it is `scaled`, with `block` and scales
      as fusco.dequantize takes them, and else of bf16, f16 or f32.
    - (combine_c9) `partials` is f32 or bf16.
  }];
  let arguments = (ins Fusco_Payload:$y, Optional<Fusco_Payload>:$scales,
                       Fusco_PlanType:$plan, Variadic<Fusco_Rows>:$summands,
                       OptionalAttr<I64Attr>:$block, UnitAttr:$weighted,
                       OptionalAttr<TypeAttr>:$partials,
                       OptionalAttr<Fusco_HopsAttr>:$hops);
  let results = (outs Fusco_Rows:$out);
  let assemblyFormat = [{
    $y (`scaled` $scales^ `block` $block)? `by` $plan (`weighted` $weighted^)?
    (`plus` $summands^)? (`partials` $partials^)? (`hops` $hops^)? attr-dict
    `:` type($y) (`scaled` type($scales)^)? `,` qualified(type($plan))
    (`,` type($summands)^)? `->` type($out)
  }];
  let builders = [
    /// Of rows without scales, without summands and hops.
    OpBuilder<(ins "::mlir::Type":$out, "::mlir::Value":$y,
                   "::mlir::Value":$plan, "bool":$weighted)>
  ];
  let extraClassDeclaration = [{
    /// The element type of partial sums.
    ::mlir::Type getPartialType() {
      return getPartials().value_or(::mlir::Float32Type::get(getContext()));
    }
    /// Bytes that experts hand over for an assignment: a row, with its scales.
    int64_t getBytesPerRow();
  }];
}

//===----------------------------------------------------------------------===//
// What is done to each row by itself, wherever it is.
//===----------------------------------------------------------------------===//

def Fusco_CastOp : Fusco_Op<"cast", [Pure]> {
  let summary = "convert the elements of rows";
  let description = [{
    A wider type holds every value exactly; a narrower one gets the nearest,
    ties to even, denormals kept. A NaN becomes 0x7FFF (bf16, f16) or 0x7FFFFFFF
    (f32).

    ```mlir
    %narrow = fusco.cast %x : tensor<?x2048xf32> -> tensor<?x2048xbf16>
    ```

    - (cast_c1) shape and layout are kept.
    - (cast_c2) the element types differ.
  }];
  let arguments = (ins Fusco_Rows:$input);
  let results = (outs Fusco_Rows:$output);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($output)";
  let hasVerifier = 1;
}

def Fusco_QuantizeOp : Fusco_Op<"quantize", [Pure]> {
  let summary = "rows of float8 elements, with a scale for each block of a row";
  let description = [{
    A row is cut into blocks of `block` elements; the last may be shorter. Of a
    block, amax is the largest magnitude of its finite elements in float32, and
    2^-110 if that is larger. With m the largest number of the result's type (448
    or 57344), and all float32 operations rounded to nearest even with denormals
    kept:

    - scales of f32: scale = amax / m, inverse = m / amax;
    - scales of i32: scale = 2^e with the smallest e such that amax <= m * 2^e,
      inverse = 2^-e. Four of them share an i32: scale j is the byte e + 127
      (UE8M0) that is byte j mod 4, from the lowest, of number j div 4; bytes of
      no block are 0.

    An element becomes x * inverse, rounded to nearest even, denormals kept; an
    infinity becomes the largest number, with its sign; a NaN becomes 0x7F. So no
    element is larger than the largest number, and 0 keeps its sign.

    Blocks of 128 with f32 scales are DeepSeek-V3's; of 32 with i32 scales, MXFP8;
    of a whole row, scales per token.

    ```mlir
    %q, %scales = fusco.quantize %x block 128
        : tensor<?x2048xbf16> -> tensor<?x2048xf8E4M3FN>, tensor<?x16xf32>
    ```

    - (quantize_c1) `block` is from 1 to the hidden size.
    - (quantize_c2) shape and layout are kept by the first result, whose elements
      are f8E4M3FN or f8E5M2.
    - (quantize_c3) scales have as many rows, the same layout, and
      ceil(hidden / block) columns of f32, or a fourth of it, rounded up, of i32.
  }];
  let arguments = (ins Fusco_Rows:$input, I64Attr:$block);
  let results = (outs Fusco_Payload:$output, Fusco_Payload:$scales);
  let assemblyFormat = [{
    $input `block` $block attr-dict `:` type($input) `->` type($output) `,`
    type($scales)
  }];
  let hasVerifier = 1;
}

def Fusco_DequantizeOp : Fusco_Op<"dequantize", [Pure]> {
  let summary = "float32 rows of float8 elements and scales of their blocks";
  let description = [{
    The way back from fusco.quantize: an element, which float32 holds exactly,
    times the scale of its block, in float32, rounded to nearest even with
    denormals kept. A NaN becomes 0x7FFFFFFF. A scale of i32 is a byte b that
    stands as fusco.quantize says: 2^(b - 127), of which 2^-127 is a denormal, or
    a NaN where b is 255. A scale may be any number, and bytes of no block hold
    anything.

    ```mlir
    %y = fusco.dequantize %q, %scales block 128
        : tensor<?x2048xf8E4M3FN>, tensor<?x16xf32> -> tensor<?x2048xf32>
    ```

    - (dequantize_c1) `block` is from 1 to the hidden size.
    - (dequantize_c2) elements are f8E4M3FN or f8E5M2.
    - (dequantize_c3) scales are as fusco.quantize leaves them: see quantize_c3.
    - (dequantize_c4) shape and layout are kept, and the result is of f32.
  }];
  let arguments = (ins Fusco_Payload:$input, Fusco_Payload:$scales,
                       I64Attr:$block);
  let results = (outs Fusco_Rows:$output);
  let assemblyFormat = [{
    $input `,` $scales `block` $block attr-dict `:` type($input) `,`
    type($scales) `->` type($output)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// The unfused form: what a framework does today, step by step.
//===----------------------------------------------------------------------===//

def Fusco_PermuteOp : Fusco_ShuffleOp<"permute"> {
  let summary = "reorder rows on a rank, towards the experts";
  let description = [{
    Before the exchange, token-major to device_major<destination>: one copy of a
    token's row per assignment. After it, device_major<source> to expert_major.

    - (permute_c1) the layouts are one of these two pairs.
    - (permute_c2) hidden size and element type are kept.
    - (permute_c3) the plan's group is a fusco.group.
  }];
  let arguments = (ins Fusco_Rows:$input, Fusco_PlanType:$plan);
  let results = (outs Fusco_Rows:$output);
  let assemblyFormat = [{
    $input `by` $plan attr-dict `:` type($input) `,` qualified(type($plan)) `->` type($output)
  }];
}

def Fusco_AllToAllOp : Fusco_ShuffleOp<"all_to_all"> {
  let summary = "exchange contiguous rows between ranks";
  let description = [{
    From device_major<destination> to device_major<source>, or on the way back
    from device_major<source> to device_major<destination>.

    - (all_to_all_c1) the layouts are one of these two pairs.
    - (all_to_all_c2) hidden size and element type are kept.
    - (all_to_all_c3) the plan's group is a fusco.group.
  }];
  let arguments = (ins Fusco_Rows:$input, Fusco_PlanType:$plan);
  let results = (outs Fusco_Rows:$output);
  let assemblyFormat = [{
    $input `by` $plan attr-dict `:` type($input) `,` qualified(type($plan)) `->` type($output)
  }];
}

def Fusco_UnpermuteOp : Fusco_ShuffleOp<"unpermute"> {
  let summary = "reorder rows on a rank, towards the tokens";
  let description = [{
    The mirror of fusco.permute: expert_major to device_major<source>, and
    device_major<destination> to token-major, where the rows of a token are
    summed as fusco.combine does.

    - (unpermute_c1) the layouts are one of these two pairs.
    - (unpermute_c2) the hidden size is kept, and by all but the sum the element
      type.
    - (unpermute_c3) the plan's group is a fusco.group.
    - (unpermute_c4) only the sum, into token-major, can be `weighted`.
  }];
  let arguments = (ins Fusco_Rows:$input, Fusco_PlanType:$plan,
                       UnitAttr:$weighted);
  let results = (outs Fusco_Rows:$output);
  let assemblyFormat = [{
    $input `by` $plan (`weighted` $weighted^)? attr-dict `:` type($input) `,`
    qualified(type($plan)) `->` type($output)
  }];
}

//===----------------------------------------------------------------------===//
// The gradient of a weighted combine by its weights.
//===----------------------------------------------------------------------===//

def Fusco_WeightGradientOp : Fusco_ShuffleOp<"weight_gradient"> {
  let summary = "how a weighted combine's result changes with each weight";
  let description = [{
    `dweights`[t, k] is the dot product of row t of `dout`, the gradient of the
    combine's result, with the row of `y` that belongs to the assignment (t, k);
    it is +0 where there is none. The order of the sum is fixed: 32 lanes start at
    +0 in float32; lane j takes acc = fma(dout[h], y[h], acc) for h = j, j + 32,
    j + 64, ... ascending; then lane j += lane j + n for j < n, with n = 16, 8, 4,
    2, 1; lane 0 is the result. A NaN result has the bits 0x7FFFFFFF.

    ```mlir
    %dweights = fusco.weight_gradient %dout, %y by %plan
        : tensor<?x2048xbf16>, tensor<?x2048xbf16, #fusco.expert_major<align = 16>>,
          !fusco.plan<@ep> -> tensor<?x6xf32>
    ```

    - (weight_gradient_c1) `dout` is token-major.
    - (weight_gradient_c2) `y` is expert-major.
    - (weight_gradient_c3) `dout` and `y` have the same hidden size.
    - (weight_gradient_c4) the plan's group is a fusco.group, and the result has
      the shape [?, topk].
  }];
  let arguments = (ins Fusco_Rows:$dout, Fusco_Rows:$y, Fusco_PlanType:$plan);
  let results = (outs Fusco_Weights:$dweights);
  let assemblyFormat = [{
    $dout `,` $y `by` $plan attr-dict `:` type($dout) `,` type($y) `,`
    qualified(type($plan)) `->` type($dweights)
  }];
}

#endif // FUSCO_DIALECT_FUSCOOPS_TD
