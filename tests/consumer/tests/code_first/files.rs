//! Structs and files that say the same, and those that don't.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use celerysalt::{
    Event, SaltEvent,
    code_first::{CodeFirst, SchemaFilesError, check, contracts, export},
    schemars::JsonSchema,
};
use celerysalt_contract::{Catalog, Source, layout};
use serde::{Deserialize, Serialize};

use crate::events::{All, GetOrder, NodeMoved, OrderPlaced, Uploaded};

/// The files that people wrote.
fn written() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("code_first/schemas")
}

/// All files below a folder, with their texts.
fn texts(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(self::texts(&path));
        } else {
            texts.insert(path.clone(), fs::read_to_string(path).unwrap());
        }
    }
    texts
}

/// A folder with the files of `written`, to be changed.
fn copied() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in texts(&written()) {
        let target = folder.path().join(path.strip_prefix(written()).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, text).unwrap();
    }
    folder
}

fn change(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {file}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

celerysalt::code_first_test!("code_first/schemas", OrderPlaced, NodeMoved, Uploaded, GetOrder);

#[test]
fn a_struct_and_a_file_that_say_the_same_have_the_same_fingerprint() {
    let catalog = Catalog::load(written()).unwrap();
    let contracts = contracts::<All>();
    assert_eq!(contracts.len(), catalog.contracts.len());
    for contract in contracts {
        let file = catalog.get(contract.topic(), contract.version()).unwrap();
        let record = contract.to_record().unwrap();
        assert_eq!(celerysalt_contract::differences(&file.to_record(), &record), Vec::<String>::new(), "{contract}");
        assert_eq!(contract.fingerprint(), file.fingerprint.as_str(), "{contract}");
        assert_eq!(contract.description(), file.description, "{contract}");
        assert_eq!(contract.exchange(), file.exchange.as_deref(), "{contract}");
        assert_eq!(contract.uses_registry(), file.registry, "{contract}");
        assert_eq!(contract.registers_itself(), file.auto_register, "{contract}");
        assert_eq!(record.schema["title"], file.title.as_str(), "{contract}");
    }
}

#[test]
fn exported_files_are_contracts_of_the_same_meaning() {
    let folder = tempfile::tempdir().unwrap();
    let schemas = folder.path().join("new/schemas");
    let exported = export::<All>(&schemas).unwrap();
    assert!(exported.len() == 6 && exported.iter().all(|file| file.changed), "{exported:?}");
    let catalog = Catalog::load(&schemas).unwrap();
    assert_eq!(catalog.warnings.iter().count(), 0, "{}", catalog.warnings);
    for contract in contracts::<All>() {
        let file = catalog.get(contract.topic(), contract.version()).unwrap();
        assert_eq!(contract.fingerprint(), file.fingerprint.as_str(), "{contract}");
    }
    let first = texts(&schemas);
    for (path, text) in &first {
        let source = Source::parse(&schemas, path, text.clone().into_bytes()).unwrap();
        assert_eq!(*text, layout(&source), "as `celerysalt fmt` leaves it");
    }
    assert!(export::<All>(&schemas).unwrap().iter().all(|file| !file.changed));
    assert_eq!(texts(&schemas), first, "nothing else is left in the folder either");
    check::<All>(&schemas).unwrap();
}

#[test]
fn files_that_say_it_all_are_left_alone() {
    let folder = copied();
    assert!(export::<All>(folder.path()).unwrap().iter().all(|file| !file.changed));
    for (path, text) in texts(folder.path()) {
        assert_eq!(text, fs::read_to_string(written().join(path.strip_prefix(folder.path()).unwrap())).unwrap());
    }
}

#[test]
fn every_difference_is_told_and_mended() {
    let folder = copied();
    let schemas = folder.path();
    change(schemas, "catalog.node.moved/v1.2.json", "\"maxItems\": 2", "\"maxItems\": 3");
    change(schemas, "catalog.node.moved/v1.2.json", "\"exchange\": \"catalog\"", "\"owner\": \"ops\"");
    change(schemas, "shop.order.get/v1.response.json", "What it comes to.", "Cents.");
    change(schemas, "shop.order.get/v1.json", "\"format\": \"uuid\"", "\"examples\": [\"A-1\"]");
    fs::remove_file(schemas.join("shop.order.get/v1.error.json")).unwrap();
    let error = check::<All>(schemas).unwrap_err();
    let text = error.to_string().replace(&*schemas.to_string_lossy(), "schemas");
    let expected = "\
schema files differ from their structs

schemas/catalog.node.moved/v1.2.json: differs from `NodeMoved`
  - /properties/position/maxItems: 3
  + /properties/position/maxItems: 2
  - /x-celerysalt: {\"auto_register\":false,\"owner\":\"ops\"}
  + /x-celerysalt: {\"auto_register\":false,\"exchange\":\"catalog\",\"owner\":\"ops\"}

schemas/shop.order.get/v1.error.json: missing, the schema of `GetOrder`

schemas/shop.order.get/v1.json: differs from `GetOrder`
  + /properties/order_id/format: \"uuid\"

schemas/shop.order.get/v1.response.json: differs from `GetOrder`
  - /properties/cents/description: \"Cents.\"
  + /properties/cents/description: \"What it comes to.\"

`-` is in the file, `+` in the struct. `celerysalt export` writes the files anew; or change the struct.";
    assert_eq!(text, expected);
    assert_eq!(format!("{error:?}"), error.to_string(), "a test that fails prints the same");

    let changed = export::<All>(schemas).unwrap().into_iter().filter(|file| file.changed).count();
    assert_eq!(changed, 4);
    check::<All>(schemas).unwrap();
    let kept = fs::read_to_string(schemas.join("catalog.node.moved/v1.2.json")).unwrap();
    assert!(kept.contains("\"owner\": \"ops\""), "{kept}");
    let kept = fs::read_to_string(schemas.join("shop.order.get/v1.json")).unwrap();
    assert!(kept.contains("\"examples\": [\"A-1\"]"), "{kept}");
}

#[test]
fn what_cannot_be_compared_is_not_overwritten() {
    let folder = copied();
    fs::write(folder.path().join("media.uploaded/v1.json"), "{\"type\": }").unwrap();
    change(folder.path(), "shop.order.get/v1.json", "uuid", "date");
    let before = texts(folder.path());
    for error in [check::<All>(folder.path()).unwrap_err(), export::<All>(folder.path()).map(drop).unwrap_err()] {
        assert!(matches!(error, SchemaFilesError::Unreadable { .. }), "{error}");
        assert!(error.to_string().contains("v1.json:1:10"), "{error}");
    }
    assert_eq!(texts(folder.path()), before);
}

/// Asks for an order, and nobody says what the answer looks like.
#[derive(Debug, Serialize, Deserialize, JsonSchema, SaltEvent)]
#[schemars(crate = "celerysalt::schemars")]
#[salt(topic = "shop.order.get", version = "v1", rpc)]
struct AskedOtherwise {}

#[test]
fn an_answer_that_the_struct_does_not_give_is_refused() {
    let error = export::<AskedOtherwise>(copied().path()).unwrap_err();
    assert!(matches!(error, SchemaFilesError::LeftOver { .. }), "{error}");
    assert!(error.to_string().contains("v1.response.json: the struct `AskedOtherwise`"), "{error}");
    let record = AskedOtherwise::contract().to_record().unwrap();
    assert_eq!(record.schema["x-celerysalt"]["mode"], "rpc");
}

#[test]
fn a_contract_is_one_struct() {
    fn twice<A: CodeFirst, B: CodeFirst>() -> String {
        check::<(A, B)>(written()).unwrap_err().to_string()
    }
    let expected = "`GetOrder` and `AskedOtherwise` are both shop.order.get@v1: each contract is one struct";
    assert_eq!(twice::<GetOrder, AskedOtherwise>(), expected);
}
