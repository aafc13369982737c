import FunnelModel

/// What a notice carries besides its text, such as a report. The outbox holds only where it is kept; it is read for each delivery.
package struct NoticeContent: Equatable, Sendable {
    package struct File: Equatable, Sendable {
        /// ASCII letters, digits, `-`, `_` and dots only.
        package var name: String
        /// Such as `text/csv`.
        package var type: String
        package var bytes: [UInt8]

        package init(name: String, type: String, bytes: [UInt8]) {
            self.name = name
            self.type = type
            self.bytes = bytes
        }
    }

    /// The member `report` of the body of a webhook.
    package var report: JSONValue
    /// Stand in the place of the notice's text and numbers in mails. Texts from outside are escaped in `html`.
    package var html: String
    package var text: String
    /// Attachments of mails.
    package var files: [File]

    package init(report: JSONValue, html: String, text: String, files: [File]) {
        self.report = report
        self.html = html
        self.text = text
        self.files = files
    }
}
