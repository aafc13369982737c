import FunnelModel

/// Random events of a shop's users: they visit, look, put things into the cart, and some pay. About a tenth of the events share
/// their second with another, one in fifty is delivered twice, and one in twenty arrives long after it happened.
struct ShopTraffic {
    private var state: UInt64
    private let start: Int64
    private var late: [JSONValue] = []
    private var serial = 0

    private static let countries: [JSONValue] = ["DE", "FR", "US", "JP", "BR"]
    private static let products: [JSONValue] = ["lamp", "chair", "desk", "shelf", "rug", "mirror"]

    init(seed: UInt64, start: Int64) {
        state = seed
        self.start = start
    }

    private mutating func random() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    private mutating func below(_ bound: Int) -> Int { Int(random() % UInt64(bound)) }

    private mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    /// The events held back until the end.
    mutating func stragglers() -> [JSONValue] {
        defer { late.removeAll() }
        return late
    }

    /// The events of one user, in the order in which they arrive.
    mutating func user(_ number: Int) -> [JSONValue] {
        var out: [JSONValue] = []
        let country = Self.countries[below(Self.countries.count)]
        let device: JSONValue = chance(60) ? "mobile" : "desktop"
        for _ in 0..<(1 + below(4)) {
            var time = start + Int64(below(30 * 86_400)) * 1_000_000 + Int64(below(1_000)) * 1_000
            for (name, percent) in [("Visit", 100), ("View Product", 80), ("Add to Cart", 45), ("Checkout", 60), ("Purchase", 70)] {
                guard chance(percent) else { break }
                for _ in 0..<(name == "View Product" ? 1 + below(3) : 1) {
                    emit(event(number, name, time, country, device), into: &out)
                    // Some clients send two events at once.
                    if !chance(10) { time += Int64(1 + below(name == "Checkout" ? 3_600 : 240)) * 1_000_000 + Int64(below(1_000)) * 1_000 }
                }
            }
        }
        if late.count > 500 {
            out += late
            late.removeAll()
        }
        return out
    }

    private mutating func emit(_ event: JSONValue, into out: inout [JSONValue]) {
        if chance(5) { late.append(event) } else { out.append(event) }
        if chance(2) { late.append(event) }
    }

    private mutating func event(_ user: Int, _ name: String, _ time: Int64, _ country: JSONValue, _ device: JSONValue) -> JSONValue {
        serial += 1
        var properties: [JSONValue.Member] = [.init("country", country), .init("device", device)]
        if name != "Visit" { properties.append(.init("product", Self.products[below(Self.products.count)])) }
        if name == "Purchase" { properties.append(.init("price", .double(Double(500 + below(20_000)) / 100))) }
        return [
            "user_id": .text("user-\(user)"), "event": .text(name), "timestamp": .text(Timestamp.format(time)),
            "event_id": .text("e\(serial)"), "properties": .object(properties),
        ]
    }
}
