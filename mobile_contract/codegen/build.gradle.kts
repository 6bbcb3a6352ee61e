// Apollo Kotlin 4: what an Android or multiplatform module adds to read the contract. Paths are as from this folder.
plugins {
    id("com.apollographql.apollo") version "4.3.3"
}

dependencies {
    implementation("com.apollographql.apollo:apollo-runtime:4.3.3")
    implementation("com.apollographql.adapters:apollo-adapters-kotlinx-datetime:0.7.0")
}

apollo {
    service("mingcha") {
        packageName.set("mingcha.contract")
        schemaFile.set(file("../schema.graphql"))
        srcDir("../operations")

        mapScalarToKotlinLong("ByteCount")
        mapScalar("Date", "kotlinx.datetime.LocalDate", "com.apollographql.adapter.datetime.KotlinxLocalDateAdapter")
        mapScalar("DateTime", "kotlinx.datetime.Instant", "com.apollographql.adapter.datetime.KotlinxInstantAdapter")

        // Enums of sealed classes keep a value that a later server adds (`UNKNOWN__`); the texts have their `__typename`s.
        sealedClassesForEnumsMatching.set(listOf(".*"))
        addTypename.set("ifPolymorphic")
    }
}
