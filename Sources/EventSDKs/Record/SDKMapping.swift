import EventShapes
import FunnelModel

/// What the records of a product mean: only data, which `RecordReader` reads by.
struct SDKMapping: Sendable {
    /// Event name, time, ids and properties.
    var shape = EventShape()
    /// Members that are no properties, though `shape` finds them among these: keys, and what becomes rows of profiles.
    var notProperties: Set<ByteString> = []
    /// A prefix that the product puts before the ids of devices in some of its fields only.
    var deviceIDPrefix: ByteString = ""
    var claims: [ClaimRule] = []
    /// Places of the page's URL, or of its query with `?`.
    var pageURL: [MemberPlace] = []
    var referrer: [MemberPlace] = []

    init(_ fill: (inout SDKMapping) -> Void) { fill(&self) }

    /// An id without the prefix of ids of devices.
    func plain(_ id: ByteString) -> ByteString {
        let prefix = deviceIDPrefix
        guard !prefix.isEmpty, id.count > prefix.count, id.bytes.starts(with: prefix.bytes) else { return id }
        return ByteString(id.bytes[prefix.count...])
    }
}
