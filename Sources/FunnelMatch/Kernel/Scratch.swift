/// Working memory of a kernel. It grows, is never cleared, and loses its contents when it grows.
@safe struct Scratch<Element: BitwiseCopyable>: ~Copyable {
    /// Address of the first element; valid until the next `reserve`.
    private(set) var base: UnsafeMutablePointer<Element>
    private var capacity: Int

    init() {
        capacity = 64
        unsafe base = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
    }

    deinit { unsafe base.deallocate() }

    /// Makes room for `count` elements of undefined value.
    mutating func reserve(_ count: Int) {
        guard count > capacity else { return }
        unsafe base.deallocate()
        // A quarter more, so that slices of slowly increasing size do not each allocate.
        capacity = count + count / 4
        unsafe base = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
    }
}

/// Unchecked: the memory has one owner at a time.
extension Scratch: @unchecked Sendable {}
