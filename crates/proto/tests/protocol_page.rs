//! Every frame of `docs/protocol.md` is one that the protocol has, with no field that it has not.

use rollcall_proto::{
    client::v1::{ClientFrame, ServerFrame},
    close::CloseCode,
};
use serde_json::Value;

#[test]
fn every_frame_of_the_protocol_page_is_read_and_written_back_equal() {
    let page = include_str!("../../../docs/protocol.md");
    let mut frames = 0;
    for block in page.split("```json\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let said: Value = serde_json::from_str(text).unwrap();
        let from_server = ["reply", "statusChanged", "kicked", "draining", "tokenExpired"]
            .iter()
            .any(|name| said.get(name).is_some());
        let read = if from_server {
            serde_json::to_value(serde_json::from_str::<ServerFrame>(text).unwrap())
        } else {
            serde_json::to_value(serde_json::from_str::<ClientFrame>(text).unwrap())
        };
        assert_eq!(read.unwrap(), said, "a field that the protocol has not is dropped");
        frames += 1;
    }
    assert!(frames >= 20, "only {frames} frames were found");
}

#[test]
fn the_protocol_page_tells_every_close_code_with_its_status() {
    let page = include_str!("../../../docs/protocol.md");
    let section = page.split("## Close codes").nth(1).unwrap();
    let mut rows = 0;
    for row in section.lines().filter(|line| line.starts_with("| 3")) {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let code = CloseCode::from_number(cells.next().unwrap().parse().unwrap()).unwrap();
        let status = cells.next().unwrap().trim_matches('`').replace('_', "").to_lowercase();
        assert_eq!(status, format!("{:?}", code.status().code()).to_lowercase(), "{row}");
        rows += 1;
    }
    let codes = (3000..4000).filter(|number| CloseCode::from_number(*number).is_some()).count();
    assert_eq!(rows, codes);
}
