import FunnelModel

/// What rules have made of a batch.
package struct RuledBatch: Sendable {
    /// The events that are left, in their order.
    package var batch: EventBatch
    /// By row of `batch`, its row before.
    package var rows: [Int]
    /// Rows before that a rule has dropped, with the position of the rule.
    package var dropped: [(row: Int, rule: Int)] = []
    /// Rows before that no longer are valid events, or that a cast rejects.
    package var rejected: [(row: Int, fault: EventFault)] = []
    /// Rows before that are left with another name or other properties.
    package var changed: [Int] = []
}

extension RuleTables {
    /// Applies the rules to a batch. Its codes must be within its tables, as decoders check. Takes time linear in the size of the
    /// batch, regardless of the number of rules.
    package func apply(to batch: EventBatch) -> RuledBatch {
        if isEmpty || batch.count == 0 { return RuledBatch(batch: batch, rows: Array(0..<batch.count)) }
        var out = RuledBatch(batch: batch, rows: [])
        let names = RuledNames(batch, self.names)
        out.batch.names = names.table
        out.batch.name = batch.name.map { names.codes[Int($0)] }
        out.rows.reserveCapacity(batch.count)
        var rewriter = batch.propertyStart.count > batch.count && !properties.isEmpty ? PropertyRewriter(out.batch, properties) : nil
        for row in 0..<batch.count {
            let old = Int(batch.name[row])
            if let rule = names.dropRules[old] {
                out.dropped.append((row, rule))
                rewriter?.skip()
                continue
            }
            var hasChanged = names.hasChanged[old]
            if let result = rewriter?.rewrite(row) {
                switch result {
                case .unchanged: break
                case .changed: hasChanged = true
                case .rejected(let fault):
                    out.rejected.append((row, fault))
                    continue
                }
            }
            out.rows.append(row)
            if hasChanged { out.changed.append(row) }
        }
        if let rewriter { rewriter.finish(&out.batch) }
        // Also leaves out texts that no row has any more: what a rule drops must not reach a shard.
        if out.rows.count < batch.count || rewriter?.hasChanged == true { out.batch = out.batch.gather(out.rows) }
        return out
    }
}

/// The names of a batch after the rules. Each name is looked up once.
private struct RuledNames {
    private(set) var table: StringTable
    /// By code before: code after.
    private(set) var codes: [UInt32]
    /// By code before: the position of the rule that drops its events.
    private(set) var dropRules: [Int?]
    private(set) var hasChanged: [Bool]

    init(_ batch: EventBatch, _ tables: NameTables) {
        (table, codes, dropRules, hasChanged) = (batch.names, [], [], [])
        let count = batch.names.count
        if tables.isEmpty {
            codes = (0..<count).map { UInt32(truncatingIfNeeded: $0) }
            dropRules = Array(repeating: nil, count: count)
            hasChanged = Array(repeating: false, count: count)
            return
        }
        var interner = StringInterner()
        for i in 0..<count {
            let name = batch.names[i]
            let outcome = tables.outcome(of: name)
            dropRules.append(outcome.dropRule)
            hasChanged.append(outcome.name != name)
            codes.append(interner.code(outcome.name))
        }
        table = interner.table
    }
}
