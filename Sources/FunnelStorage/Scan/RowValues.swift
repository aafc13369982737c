import FunnelModel

extension RowReader {
    /// A property of many rows, each told with its index in `refs`, nil where the row has none. The rows are read where
    /// they lie one after the other, whatever their order here, so that no page is opened twice.
    package func values(
        of refs: [RowRef], _ key: ByteString, _ body: (Int, PropertyValue?) throws -> Void
    ) throws {
        for i in refs.indices.sorted(by: { refs[$0].bits < refs[$1].bits }) { try body(i, try property(refs[i], key)) }
    }
}
