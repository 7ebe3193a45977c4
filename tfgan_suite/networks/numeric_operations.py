"""The TensorFlow operations that a SavedModel from elsewhere may hold, by the reason why each may.

All others are refused, unknown ones too. Nothing here takes the name of a file, a host or a program, prints, waits for
anything outside, or ends the process: a graph of these is a computation, which can be wrong, slow or large, but reaches
nothing. Left out with everything else is what no image network needs: strings, tables, datasets, queues, sparse and
ragged tensors, text, sound, candidate samplers, compiled blobs (XLA), other devices and machines.
"""

from __future__ import annotations

_BY_REASON = {
    "it passes values on, or is one": """
        Const Identity IdentityN NoOp Placeholder PlaceholderV2 PlaceholderWithDefault PreventGradient Snapshot
        StopGradient EnsureShape""",
    "arithmetic of each element": """
        Abs AccumulateNV2 Acos Acosh Add AddN AddV2 Asin Asinh Atan Atan2 Atanh Ceil ClipByValue Cos Cosh Digamma Div
        DivNoNan Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod Igamma Igammac Inv Lgamma Log Log1p Maximum Minimum
        Mod Mul MulNoNan Ndtri Neg NextAfter Polygamma Pow RealDiv Reciprocal Rint Round Rsqrt Sign Sin Sinh Sqrt Square
        SquaredDifference Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlog1py Xlogy Zeta BesselI0e BesselI1e
        ComplexAbs Complex Real Imag Conj Angle
        BitwiseAnd BitwiseOr BitwiseXor Invert LeftShift RightShift PopulationCount""",
    "comparison, logic and change of type": """
        All Any ApproximateEqual Bitcast Bucketize Cast Equal Greater GreaterEqual IsFinite IsInf IsNan Less LessEqual
        LogicalAnd LogicalNot LogicalOr NotEqual Select SelectV2 Where""",
    "activations, and their gradients, which exporters put beside them": """
        Elu LeakyRelu LogSoftmax Relu Relu6 Selu Sigmoid Softmax Softplus Softsign
        EluGrad InvGrad LeakyReluGrad ReciprocalGrad Relu6Grad ReluGrad RsqrtGrad SeluGrad SigmoidGrad SoftplusGrad
        SoftsignGrad SqrtGrad TanhGrad""",
    "convolution, pooling and normalization, and their gradients": """
        AvgPool AvgPool3D BatchNormWithGlobalNormalization BiasAdd BiasAddV1 Conv Conv2D Conv3D DepthwiseConv2dNative
        Dilation2D FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 FusedPadConv2D FusedResizeAndPadConv2D L2Loss LRN
        MaxPool MaxPool3D MaxPoolV2 MaxPoolWithArgmax
        AvgPoolGrad BiasAddGrad Conv2DBackpropFilter Conv2DBackpropInput Conv3DBackpropFilterV2 Conv3DBackpropInputV2
        DepthwiseConv2dNativeBackpropFilter DepthwiseConv2dNativeBackpropInput FusedBatchNormGrad FusedBatchNormGradV2
        FusedBatchNormGradV3 LRNGrad MaxPoolGrad MaxPoolGradV2""",
    "linear algebra": """
        BatchMatMul BatchMatMulV2 BatchMatMulV3 Cholesky Cross Einsum MatMul MatrixBandPart MatrixDeterminant MatrixDiag
        MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3 MatrixInverse MatrixSetDiag
        MatrixSetDiagV2 MatrixSetDiagV3 MatrixSolve MatrixTriangularSolve Qr SelfAdjointEigV2 Svd Diag DiagPart
        FFT FFT2D FFT3D IFFT IFFT2D IFFT3D RFFT RFFT2D IRFFT IRFFT2D""",
    "sums and other reductions, sorting and searching": """
        ArgMax ArgMin Bincount Cumprod CumulativeLogsumexp Cumsum DenseBincount EuclideanNorm HistogramFixedWidth InTopK
        InTopKV2 ListDiff LowerBound Max Mean Min NthElement Prod SegmentMax SegmentMean SegmentMin SegmentProd
        SegmentSum Sum TopK TopKV2 Unique UniqueV2 UniqueWithCounts UnsortedSegmentMax UnsortedSegmentMin
        UnsortedSegmentProd UnsortedSegmentSum UpperBound
        SoftmaxCrossEntropyWithLogits SparseSoftmaxCrossEntropyWithLogits""",
    "shapes, and where elements stand": """
        BatchToSpace BatchToSpaceND BroadcastArgs BroadcastGradientArgs BroadcastTo Concat ConcatOffset ConcatV2
        ConjugateTranspose DataFormatDimMap DataFormatVecPermute DepthToSpace DynamicPartition DynamicStitch ExpandDims
        ExtractImagePatches ExtractVolumePatches Fill Gather GatherNd GatherV2 InvertPermutation LinSpace MirrorPad
        MirrorPadGrad OneHot OnesLike Pack Pad PadV2 ParallelDynamicStitch Range Rank Reshape Reverse ReverseSequence
        ReverseV2 Roll ScatterNd Shape ShapeN Size Slice SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV Squeeze
        StridedSlice StridedSliceGrad TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub
        TensorScatterUpdate Tile Transpose Unpack UnravelIndex ZerosLike""",
    "resizing and colours of images": """
        AdjustContrast AdjustContrastv2 AdjustHue AdjustSaturation CropAndResize HSVToRGB ImageProjectiveTransformV2
        ImageProjectiveTransformV3 RGBToHSV ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor
        ScaleAndTranslate
        ResizeBicubicGrad ResizeBilinearGrad ResizeNearestNeighborGrad ScaleAndTranslateGrad""",
    "rounding to few bits and back, which quantized networks do in floating point": """
        FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantize
        QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4""",
    "random numbers": """
        Multinomial ParameterizedTruncatedNormal RandomGamma RandomPoissonV2 RandomShuffle RandomStandardNormal
        RandomUniform RandomUniformInt TruncatedNormal
        StatelessMultinomial StatelessParameterizedTruncatedNormal StatelessRandomBinomial StatelessRandomGammaV2
        StatelessRandomGammaV3 StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg
        StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomPoisson StatelessRandomUniform
        StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2 StatelessRandomUniformInt
        StatelessRandomUniformIntV2 StatelessRandomUniformV2 StatelessShuffle StatelessTruncatedNormal
        StatelessTruncatedNormalV2 RandomIndexShuffle""",
    "it ends the computation, not the process, where numbers are not as they must be": """
        Assert CheckNumerics CheckNumericsV2""",
    "variables of the model itself": """
        AssignAddVariableOp AssignSubVariableOp AssignVariableOp DisableCopyOnRead ReadVariableOp ResourceGather
        ResourceGatherNd VarHandleOp VarIsInitializedOp VariableShape""",
    "calls, branches and loops, whose functions are looked at as well": """
        Case If PartitionedCall StatefulPartitionedCall StatelessCase StatelessIf StatelessWhile While
        Enter Exit LoopCond Merge NextIteration Switch""",
    "lists of tensors, which loops fill": """
        EmptyTensorList TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGather
        TensorListGetItem TensorListLength TensorListPopBack TensorListPushBack TensorListReserve TensorListResize
        TensorListSetItem TensorListSplit TensorListStack
        TensorArrayV3 TensorArrayCloseV3 TensorArrayGatherV3 TensorArrayReadV3 TensorArrayScatterV3 TensorArraySizeV3
        TensorArrayWriteV3""",
}
NUMERIC = {name: reason for reason, names in _BY_REASON.items() for name in names.split()}  # operation -> reason
# Of the function that saves a model again, which every exporter writes into it and loading does not run.
SAVING = frozenset(
    {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename", "StringJoin", "StaticRegexFullMatch"}
)
