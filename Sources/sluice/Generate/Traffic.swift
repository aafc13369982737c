/// The random events of a scenario, user by user.
protocol Traffic {
    var deliveries: Deliveries { get set }

    /// Adds the events of one user to the deliveries.
    mutating func addUser(_ number: Int)
}
