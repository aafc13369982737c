/// How many documents a run of `sluice apply` changes, in words.
struct ApplySummary {
    private var created = 0
    private var changed = 0
    private var deleted = 0
    private var unchanged: Int
    private var isPlanned = false

    init(unchanged: Int) { self.unchanged = unchanged }

    /// Of a run that changes nothing.
    init(planned plan: ApplyPlan) {
        unchanged = plan.unchanged
        for step in plan.steps { count(step.action, isSame: step.action == .compareSecrets) }
        isPlanned = true
    }

    /// - Parameter isSame: the coordinator found nothing to change.
    mutating func count(_ action: ApplyPlan.Action, isSame: Bool = false) {
        switch action {
        case .create: created += 1
        case .change: changed += 1
        case .compareSecrets:
            changed += isSame ? 0 : 1
            unchanged += isSame ? 1 : 0
        case .delete: deleted += 1
        }
    }

    var text: String {
        if created + changed + deleted == 0 {
            return "no changes: \(Terminal.count(unchanged, "document")) of the files \(unchanged == 1 ? "is" : "are") saved as given"
        }
        let words = isPlanned ? ["to create", "to change", "to delete"] : ["created", "changed", "deleted"]
        let parts = zip([created, changed, deleted], words).filter { $0.0 > 0 }.map { "\($0) \($1)" }
        return (parts + ["\(unchanged) unchanged"]).joined(separator: ", ") + (isPlanned ? "; nothing was changed yet" : "")
    }
}
