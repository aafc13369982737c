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
        let rule = notification.ruleID.string
        let link = publicURL.isEmpty ? nil : "\(publicURL)/?page=alerts&rule=\(rule)"
        func notice(_ key: String, _ title: String, _ items: [AlertNotification.Item]) -> Notice {
            let ends = items.compactMap(\.end).max()
            return Notice(
                key: key, rule: rule, project: project, title: title, text: items.map(\.text).joined(separator: "\n"),
                numbers: items.count == 1 ? items[0].numbers(notification) : [], link: link, status: notification.kind.status,
                starts: items.map(\.start).min() ?? 0, ends: notification.kind == .resolved ? ends : nil)
        }
        let single = notification.items.map { notice($0.firing, Self.title(notification, $0), [$0]) }
        self.single = single
        if notification.items.count < 2 {
            joined = single
        } else {
            let keys = notification.items.map(\.firing).joined(separator: "\n")
            joined = [
                notice(
                    "\(rule):\(String(XXH64.hash(Array(keys.utf8)), radix: 16))",
                    "\(rule): \(notification.subject), \(single.count) values", notification.items)
            ]
        }
    }

    /// `checkout: Conversion to step 3 of shop, country "DE": 24.1 %`.
    private static func title(_ notification: AlertNotification, _ item: AlertNotification.Item) -> String {
        let rule = notification.ruleID.string
        if item.kind == .invalid { return "\(rule) is not evaluated" }
        let property = notification.property.map { ", \($0.string) \(item.group.text.string)" } ?? ""
        return "\(rule): \(notification.subject)\(property): \(AlertWords.shown(item.value, notification.metric))"
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
    fileprivate func numbers(_ notification: AlertNotification) -> [Notice.Number] {
        let name = notification.metric == .medianTime ? "median_seconds" : notification.metric.rawValue
        let limit = notification.threshold
        return [(name, value), ("baseline", baseline), ("p", pValue), ("above", limit?.above), ("below", limit?.below)].compactMap {
            name, number in number.map { Notice.Number(name, $0) }
        }
    }
}
