import FunnelAlerts
import FunnelModel
import Notifications

/// A notification of an alert rule as notices.
struct AlertNotices {
    /// One notice for each firing, for channels that repeat what fires and pair it with its end.
    let single: [Notice]
    /// One notice for all, for other channels.
    let joined: [Notice]

    init(_ notification: AlertNotification, project: UInt32, publicURL: String) {
        let link = publicURL.isEmpty ? nil : "\(publicURL)/?page=funnel&funnel=\(notification.funnelID.string)"
        let rule = notification.ruleID.string
        func notice(_ key: String, _ title: String, _ items: [AlertNotification.Item]) -> Notice {
            let ends = items.compactMap(\.end).max()
            return Notice(
                key: key, rule: rule, project: project, title: title, text: items.map(\.text).joined(separator: "\n"),
                numbers: items.count == 1 ? items[0].numbers : [], link: link, status: notification.kind.status,
                starts: items.map(\.start).min() ?? 0, ends: notification.kind == .resolved ? ends : nil)
        }
        let single = notification.items.map { notice($0.firing, Self.title(rule, $0), [$0]) }
        self.single = single
        if notification.items.count < 2 {
            joined = single
        } else {
            let keys = notification.items.map(\.firing).joined(separator: "\n")
            joined = [
                notice("\(rule):\(String(XXH64.hash(Array(keys.utf8)), radix: 16))", "\(rule), \(single.count) values", notification.items)
            ]
        }
    }

    private static func title(_ rule: String, _ item: AlertNotification.Item) -> String {
        if item.kind == .invalid { return "\(rule) is not evaluated" }
        return item.group.isWhole ? rule : "\(rule), \(item.group.text.string)"
    }
}

extension AlertNotification.Kind {
    fileprivate var status: Notice.Status {
        switch self {
        case .firing: .firing
        case .resolved: .resolved
        case .invalid: .info
        }
    }
}

extension AlertNotification.Item {
    fileprivate var numbers: [Notice.Number] {
        [("value", value), ("baseline", baseline), ("p", pValue)].compactMap { name, number in number.map { Notice.Number(name, $0) } }
    }
}
