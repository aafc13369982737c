import FunnelProtocol
import NIOCore
import NIOPosix
import RPC
import Synchronization
import Testing

/// Places for connections: who gets one, and who goes when there is none.
@Suite(.timeLimit(.minutes(2)))
struct PlaceTests {
    /// Connections by number, those that were closed among them.
    private final class Guests {
        let places: ConnectionPlaces
        let closed = Mutex<Set<Int>>([])

        init(most: Int, perAddress: Int, reserved: Int) {
            places = ConnectionPlaces(.init(most: most, perAddress: perAddress, reserved: reserved))
        }

        func come(
            _ number: Int, from address: String = "10.0.0.1", isOfMany: Bool = false, at now: UInt64
        ) -> ConnectionPlaces.Admission {
            nonisolated(unsafe) let guests = self
            return places.admit(address, isOfMany: isOfMany, now: now) { guests.closed.withLock { _ = $0.insert(number) } }
        }

        var gone: Set<Int> { closed.withLock { $0 } }
    }

    private func place(_ admission: ConnectionPlaces.Admission) -> ConnectionPlaces.Place? {
        if case .place(let place) = admission { return place }
        return nil
    }

    private func probation(_ admission: ConnectionPlaces.Admission) -> ConnectionPlaces.Place? {
        if case .onProbation(let place) = admission { return place }
        return nil
    }

    @Test func theLongestIdleGoes() {
        let guests = Guests(most: 6, perAddress: 10, reserved: 2)
        let first = (0..<4).map { place(guests.come($0, at: UInt64(100 + $0))) }
        #expect(first.allSatisfy { $0 != nil })
        first[0]?.setBusy()
        first[1]?.setBusy()
        first[1]?.setIdle(now: 200)
        #expect(place(guests.come(4, at: 300)) != nil)
        #expect(guests.gone == [2])
        #expect(place(guests.come(5, at: 301)) != nil && place(guests.come(6, at: 302)) != nil)
        #expect(guests.gone == [1, 2, 3])
        #expect(guests.places.count == 4 && guests.places.displaced == 3)
    }

    @Test func anAddressOfManyCallersHasNone() {
        let guests = Guests(most: 20, perAddress: 2, reserved: 4)
        for number in 1...16 { #expect(place(guests.come(number, isOfMany: true, at: UInt64(number))) != nil) }
        #expect(guests.gone.isEmpty)
        // The limit of the port holds for it too.
        #expect(place(guests.come(17, isOfMany: true, at: 17)) != nil)
        #expect(guests.gone == [1])
    }

    @Test func anAddressHasItsOwnLimit() {
        let guests = Guests(most: 100, perAddress: 2, reserved: 10)
        let other = place(guests.come(0, from: "10.0.0.2", at: 1))
        #expect(other != nil)
        for number in 1...5 { #expect(place(guests.come(number, at: UInt64(number + 1))) != nil) }
        #expect(guests.gone == [1, 2, 3])
        #expect(guests.places.count == 3)
    }

    @Test func reservedPlacesAreForWhoProvesARole() {
        let guests = Guests(most: 4, perAddress: 10, reserved: 2)
        let busy = (0..<2).compactMap { place(guests.come($0, at: 1)) }
        for place in busy { place.setBusy() }
        // Nobody is idle: a short stay.
        let (third, fourth) = (probation(guests.come(2, at: 2)), probation(guests.come(3, at: 3)))
        #expect(third != nil && fourth != nil)
        // Full: who has not proven a role for longest goes.
        let fifth = probation(guests.come(4, at: 4))
        #expect(guests.gone == [2])
        guard let fourth, let fifth else { return }
        for place in [fourth, fifth] { guests.places.promote(place) }
        #expect(!guests.places.isOnProbation(fourth))
        guard case .refused = guests.come(5, at: 5) else {
            Issue.record("a place beyond all")
            return
        }
        // The proven stay, idle or not; an idle stranger makes room.
        busy[0].setIdle(now: 6)
        #expect(probation(guests.come(6, at: 7)) != nil || guests.gone.contains(0))
        #expect(!guests.gone.contains(3) && !guests.gone.contains(4))
        for place in busy + [fourth, fifth] { guests.places.leave(place) }
        #expect(guests.places.count <= 1)
    }

    @Test func addressesOfPeers() throws {
        func of(_ text: String) throws -> String { limitAddress(try SocketAddress(ipAddress: text, port: 1)) }
        #expect(try of("192.0.2.7") == "192.0.2.7")
        #expect(try of("::ffff:192.0.2.7") == "192.0.2.7")
        #expect(try of("2001:db8:1:2:3:4:5:6") == of("2001:db8:1:2:ffff::1"))
        #expect(try of("2001:db8:1:2::1") != of("2001:db8:1:3::1"))
        #expect(limitAddress(nil) == "local")
    }

    /// A port full of idle strangers: services prove their role, clients get through, and so do health calls.
    @Test func idleStrangersShutNobodyOut() async throws {
        var limits = TransportLimits()
        limits.maxConnections = 24
        limits.maxConnectionsPerAddress = 16
        limits.reservedConnections = 4
        let secret: [UInt8] = [9, 9, 9]
        let routes = [
            FrameServer.Route(.health, .anyone) { try await $0.writer().end(rows: 0) },
            FrameServer.Route(.partialQuery, .services([.coordinator])) { try await $0.writer().end(rows: 0) },
        ]
        let handler = FrameServer(
            ServiceSelf(role: .shard, secret: secret) { ClusterState(id: 7, epoch: 1) }, routes: routes, logger: quiet)
        try await withServer(handler, limits: limits) { server, port in
            var strangers: [RawPeer] = []
            let service = FrameClient(
                name: "shard", host: "127.0.0.1", port: port,
                service: ServiceSelf(role: .coordinator, secret: secret) { ClusterState(id: 7, epoch: 1) },
                group: MultiThreadedEventLoopGroup.singleton, tls: nil, connections: 1, logger: quiet)
            try await service.call(.partialQuery, [1], timeout: .seconds(10)) { _ in }
            for _ in 0..<60 { strangers.append(try await RawPeer(port)) }
            let isBounded = await eventually { server.stats.connections <= 17 }
            #expect(isBounded)
            // On the connection that was there before them, and on a new one.
            try await service.call(.partialQuery, [1], timeout: .seconds(10)) { _ in }
            await service.shutdown()
            let again = FrameClient(
                name: "shard", host: "127.0.0.1", port: port,
                service: ServiceSelf(role: .coordinator, secret: secret) { ClusterState(id: 7, epoch: 1) },
                group: MultiThreadedEventLoopGroup.singleton, tls: nil, connections: 1, logger: quiet)
            try await again.call(.partialQuery, [1], timeout: .seconds(10)) { _ in }
            try await again.call(.health, [], timeout: .seconds(10)) { _ in }
            await again.shutdown()
            #expect(server.stats.displaced >= 44)
            #expect(server.refusals[.connections] == 0)
            for peer in strangers { await peer.close() }
        }
    }

    /// All ordinary places busy for good: a service still gets in, and a stranger only for a moment.
    @Test(.enabled(if: runsAlone, "make test-hostile runs it, with the machine to itself"))
    func busyStrangersLeaveServicesTheirPlaces() async throws {
        var limits = TransportLimits()
        limits.maxConnections = 12
        limits.maxConnectionsPerAddress = 12
        limits.reservedConnections = 4
        limits.proofTimeout = .milliseconds(300)
        let secret: [UInt8] = [9, 9, 9]
        let routes = [
            FrameServer.Route(.health, .anyone) { _ in try await Task.sleep(for: .seconds(60)) },
            FrameServer.Route(.partialQuery, .services([.coordinator])) { try await $0.writer().end(rows: 0) },
        ]
        let handler = FrameServer(
            ServiceSelf(role: .shard, secret: secret) { ClusterState(id: 7, epoch: 1) }, routes: routes, logger: quiet)
        let health = ByteBuffer(bytes: Frame(.health, FrameContext(), body: []).encode())
        try await withServer(handler, limits: limits) { server, port in
            var strangers: [RawPeer] = []
            for number in 1...10 {
                let peer = try await RawPeer(port)
                try await peer.send(try await peer.open("/sluice/v1/health"), health, ends: true)
                strangers.append(peer)
                _ = await eventually { server.stats.callsRunning == number }
            }
            let service = FrameClient(
                name: "shard", host: "127.0.0.1", port: port,
                service: ServiceSelf(role: .coordinator, secret: secret) { ClusterState(id: 7, epoch: 1) },
                group: MultiThreadedEventLoopGroup.singleton, tls: nil, connections: 1, logger: quiet)
            try await service.call(.partialQuery, [1], timeout: .seconds(10)) { _ in }
            // The two that had only a short stay are gone after it; the service is not.
            let areGone = await eventually { server.stats.connections == 9 && server.refusals[.probation] == 2 }
            #expect(areGone)
            try await service.call(.partialQuery, [1], timeout: .seconds(10)) { _ in }
            await service.shutdown()
            for peer in strangers { await peer.close() }
        }
    }
}
