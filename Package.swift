// swift-tools-version: 6.2
import Foundation
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
]

func core(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict + [.strictMemorySafety()])
}
func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}
func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}
func system(_ name: String, _ pkgConfig: String, _ package: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([package])])
}

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "sluice",
    products: [
        .executable(name: "sluice", targets: ["sluice"]),
        .executable(name: "sluice-ingest", targets: ["sluice-ingest"]),
        .executable(name: "sluice-shard", targets: ["sluice-shard"]),
        .executable(name: "sluice-coordinator", targets: ["sluice-coordinator"]),
    ],
    traits: [
        .trait(name: "Zstd", description: "Files and HTTP bodies in zstd; needs libzstd-dev"),
        .trait(name: "Kafka", description: "Events from Kafka in sluice-ingest; needs librdkafka-dev"),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", .upToNextMinor(from: "2.101.2")),
        .package(url: "https://github.com/apple/swift-nio-ssl", .upToNextMinor(from: "2.37.6")),
        .package(url: "https://github.com/apple/swift-crypto", .upToNextMinor(from: "4.5.2")),
        .package(url: "https://github.com/apple/swift-log", .upToNextMinor(from: "1.16.2")),
        .package(url: "https://github.com/apple/swift-argument-parser", .upToNextMinor(from: "1.8.2")),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", .upToNextMinor(from: "2.13.0")),
        .package(url: "https://github.com/hummingbird-project/hummingbird", .upToNextMinor(from: "2.28.1")),
        .package(url: "https://github.com/swift-server/async-http-client", .upToNextMinor(from: "1.37.0")),
        .package(url: "https://github.com/groue/GRDB.swift", .upToNextMinor(from: "7.10.0")),
        .package(url: "https://github.com/apple/swift-http-types", .upToNextMinor(from: "1.8.0")),
        .package(url: "https://github.com/apple/swift-nio-extras", .upToNextMinor(from: "1.35.2")),
        .package(url: "https://github.com/jpsim/Yams", .upToNextMinor(from: "6.2.2")),
    ],
    targets: [
        system("CNghttp2", "libnghttp2", "libnghttp2-dev"),
        system("CLZ4", "liblz4", "liblz4-dev"),
        system("CZlib", "zlib", "zlib1g-dev"),
        system("CZstd", "libzstd", "libzstd-dev"),
        system("CRdkafka", "rdkafka", "librdkafka-dev"),
        .target(name: "CShims"),
        core("FunnelModel"),
        core("FunnelMatch", ["FunnelModel"]),
        core("EventRules", ["FunnelModel"]),
        core("ReportTables", ["FunnelModel"]),
        core("Codec", ["FunnelModel", "CLZ4", "CZlib", "CShims", .target(name: "CZstd", condition: .when(traits: ["Zstd"]))]),
        core("FunnelProtocol", ["FunnelModel", "Codec"]),
        core("EventStorage", ["FunnelModel", "Codec", "CShims"]),
        core("FunnelQuery", ["FunnelModel", "FunnelMatch", "EventStorage"]),
        core("FunnelStatistics"),
        library("TimeZones", []),
        core("FunnelAlerts", ["FunnelModel", "FunnelStatistics", "TimeZones"]),
        library("EventShapes", ["FunnelModel", "TimeZones"]),
        library("EventSDKs", ["EventShapes", "FunnelModel", "TimeZones"]),
        library("EventFiles", ["EventSDKs", "EventShapes", "FunnelModel", "Codec", "TimeZones", crypto]),
        .plugin(name: "EmbedFiles", capability: .buildTool(), dependencies: ["embed-files"]),
        .executableTarget(name: "embed-files", path: "Plugins/embed-files", swiftSettings: strict),
        .target(name: "Dashboard", swiftSettings: strict, plugins: ["EmbedFiles"]),
        library("HTTP2", ["CNghttp2", "CShims", nioCore]),
        library("RPC", ["FunnelProtocol", "HTTP2", nioCore, nioPosix, nioSSL, nioTLS, crypto, logging]),
        library("ServiceRuntime", ["FunnelModel", "CShims", nioPosix, logging, lifecycle, yams]),
        .target(
            name: "ServiceHost",
            dependencies: [
                "ServiceRuntime", "RPC", "HTTP2", hummingbird, .product(name: "HTTPTypes", package: "swift-http-types"), nioCore, nioPosix,
                yams,
                nioSSL, logging,
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ], swiftSettings: strict, plugins: ["EmbedFiles"]),
        library("Notifications", ["FunnelModel", "TimeZones", "CShims", httpClient, crypto, nioCore, nioHTTP1, nioPosix, nioSSL]),
        library(
            "IngestService",
            ["RPC", "ServiceHost", "EventRules", "EventSDKs", .target(name: "CRdkafka", condition: .when(traits: ["Kafka"]))]),
        library("ShardService", ["RPC", "ServiceHost", "EventStorage", "FunnelMatch", "FunnelQuery", "Codec", "CShims"]),
        library("Metadata", ["FunnelProtocol", "FunnelModel", "ServiceRuntime", grdb]),
        library(
            "CoordinatorService",
            [
                "Metadata", "Dashboard", "EventRules", "ReportTables", "TimeZones", "Codec", "RPC", "ServiceHost", "FunnelStatistics",
                "FunnelAlerts", "Notifications", crypto,
            ]),
        program("sluice-ingest", ["IngestService", "ServiceHost", "ServiceRuntime"]),
        program("sluice-shard", ["ShardService", "ServiceHost", "ServiceRuntime"]),
        program("sluice-coordinator", ["CoordinatorService", "ServiceHost", "ServiceRuntime"]),
        program(
            "sluice",
            [
                "RPC", "ServiceRuntime", "Metadata", "EventStorage", "Codec", "EventFiles", "EventRules", "EventSDKs", "EventShapes",
                "FunnelAlerts", "Notifications", "ReportTables", "TimeZones",
                arguments, crypto,
            ]),
        .target(
            name: "TestSupport", dependencies: ["FunnelModel", "FunnelMatch"], path: "Tests/Support",
            swiftSettings: strict),
        tests("FunnelModelTests", ["FunnelModel", "TestSupport"]),
        tests("EventFilesTests", ["EventFiles", "EventSDKs", "EventShapes", "TimeZones", "Codec", "FunnelModel", "TestSupport"]),
        tests("EventSDKsTests", ["EventSDKs", "EventShapes", "FunnelModel", "TestSupport"]),
        tests("EventRulesTests", ["EventRules", "FunnelModel", "TestSupport"]),
        tests("CodecTests", ["Codec", "TestSupport"]),
        tests("FunnelProtocolTests", ["FunnelProtocol", "TestSupport"]),
        tests("EventStorageTests", ["EventStorage"]),
        tests("FunnelQueryTests", ["FunnelQuery", "EventStorage", "FunnelMatch", "TestSupport"]),
        tests("FunnelStatisticsTests", ["FunnelStatistics", "FunnelModel", "TestSupport"]),
        tests("FunnelAlertsTests", ["FunnelAlerts", "FunnelModel", "TestSupport"]),
        tests(
            "ServiceTests",
            [
                "ServiceRuntime", "ServiceHost", "Metadata", "EventRules", "EventSDKs", "IngestService", "CoordinatorService",
                "ReportTables", "FunnelAlerts", "Notifications",
                "ShardService",
                "EventStorage",
                "Dashboard",
                "TestSupport", nioCore, nioPosix, logging,
            ]),
        tests(
            "ClusterTests",
            [
                "Codec", "CoordinatorService", "EventSDKs", "EventStorage", "FunnelModel", "FunnelProtocol", "IngestService", "RPC",
                "ServiceHost", "TestSupport", crypto, nioPosix, logging,
            ]),
        tests("NotificationsTests", ["Notifications", "FunnelModel", "TestSupport", nioCore, nioPosix, nioSSL]),
        tests("FunnelMatchTests", ["FunnelMatch", "TestSupport"]),
        tests("HTTP2Tests", ["HTTP2", nioCore, .product(name: "NIOEmbedded", package: "swift-nio")]),
        tests(
            "ServiceHostTests",
            ["ServiceHost", "RPC", "FunnelProtocol", "FunnelModel", "ServiceRuntime", hummingbird, nioCore, nioPosix, logging]),
        tests("RPCTests", ["RPC", "HTTP2", "FunnelProtocol", "FunnelModel", nioCore, nioPosix, logging]),
    ],
    swiftLanguageModes: [.v6]
)

// Benchmarks are not part of a build.
if ProcessInfo.processInfo.environment["SLUICE_BENCH"] != nil {
    package.targets.append(
        .executableTarget(
            name: "kernel-twin", dependencies: ["FunnelMatch", "FunnelModel"], path: "bench/Micro/KernelTwin", swiftSettings: strict))
}

// Nor are fuzzers, which need the sanitizer throughout.
if ProcessInfo.processInfo.environment["SLUICE_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "funnel-fuzz", dependencies: ["FunnelModel", "Codec", "FunnelProtocol", "EventStorage", "EventSDKs", "EventRules"],
            path: "Tests/Fuzz", exclude: ["run.sh", "seeds.py"], swiftSettings: strict))
}
