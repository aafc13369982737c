import FunnelModel

/// Random events of a shop's users: they visit, look, put things into the cart, and some pay. About a tenth of the events share
/// their second with another. Demos and tests rely on its bytes: the order of the random numbers is part of the scenario.
struct ShopTraffic: Traffic {
    var deliveries: Deliveries
    private let start: Int64

    private static let countries: [JSONValue] = ["DE", "FR", "US", "JP", "BR"]
    private static let products: [JSONValue] = ["lamp", "chair", "desk", "shelf", "rug", "mirror"]

    init(seed: UInt64, start: Int64) {
        deliveries = Deliveries(seed: seed)
        self.start = start
    }

    private mutating func below(_ bound: Int) -> Int { deliveries.random.below(bound) }

    private mutating func chance(_ percent: Int) -> Bool { deliveries.random.chance(percent) }

    mutating func addUser(_ number: Int) {
        let country = Self.countries[below(Self.countries.count)]
        let device: JSONValue = chance(60) ? "mobile" : "desktop"
        for _ in 0..<(1 + below(4)) {
            var time = start + Int64(below(30 * 86_400)) * 1_000_000 + Int64(below(1_000)) * 1_000
            for (name, percent) in [("Visit", 100), ("View Product", 80), ("Add to Cart", 45), ("Checkout", 60), ("Purchase", 70)] {
                guard chance(percent) else { break }
                for _ in 0..<(name == "View Product" ? 1 + below(3) : 1) {
                    let own = properties(of: name)
                    deliveries.add(user: "user-\(number)", name, time, [.init("country", country), .init("device", device)] + own)
                    // Some clients send two events at once.
                    if !chance(10) { time += Int64(1 + below(name == "Checkout" ? 3_600 : 240)) * 1_000_000 + Int64(below(1_000)) * 1_000 }
                }
            }
        }
    }

    private mutating func properties(of name: String) -> [JSONValue.Member] {
        var properties: [JSONValue.Member] = []
        if name != "Visit" { properties.append(.init("product", Self.products[below(Self.products.count)])) }
        if name == "Purchase" { properties.append(.init("price", .double(Double(500 + below(20_000)) / 100))) }
        return properties
    }
}
