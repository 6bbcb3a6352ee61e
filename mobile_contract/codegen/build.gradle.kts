// Apollo Kotlin 4: what an Android module adds to read the contract. Paths are as from this folder.
plugins {
    id("com.apollographql.apollo") version "4.4.1"
}

dependencies {
    implementation("com.apollographql.apollo:apollo-runtime:4.4.1")
    implementation("com.apollographql.adapters:apollo-adapters-core:0.7.0")
}

apollo {
    service("mingcha") {
        packageName.set("mingcha.contract")
        schemaFile.set(file("../schema.graphql"))
        srcDir("../operations")

        mapScalarToKotlinLong("ByteCount")
        mapScalar("Date", "java.time.LocalDate", "com.apollographql.adapter.core.JavaLocalDateAdapter")
        mapScalar("DateTime", "java.time.Instant", "com.apollographql.adapter.core.JavaInstantAdapter")

        // Enums of sealed classes keep a value that a later server adds (`UNKNOWN__`); the texts have their `__typename`s.
        sealedClassesForEnumsMatching.set(listOf(".*"))
        addTypename.set("ifPolymorphic")
    }
}
