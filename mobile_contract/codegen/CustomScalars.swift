// Apollo iOS 2: in place of the files that it makes once, in the folder CustomScalars, and never overwrites.
@_spi(Internal) @_spi(Execution) import ApolloAPI
import Foundation

/// A whole number of bytes, up to 2^53 - 1.
public typealias ByteCount = Int

/// A day in Beijing, such as 2026-11-20: no instant, and so no `Foundation.Date`.
public typealias CalendarDate = String

/// An instant, printed in UTC with milliseconds.
public struct Instant: CustomScalarType, Hashable {
    public let date: Foundation.Date

    public init(_ date: Foundation.Date) { self.date = date }

    public init(_jsonValue value: JSONValue) throws {
        guard let text = value as? String, let date = try? Self.format.parse(text) else {
            throw JSONDecodingError.couldNotConvert(value: value, to: Self.self)
        }
        self.date = date
    }

    public var _jsonValue: JSONValue { Self.format.format(date) }

    private static let format = Foundation.Date.ISO8601FormatStyle(includingFractionalSeconds: true)
}
