//! What a rewrite has to have: an instruction, and one region of a size that a model can give back.

use crate::error::{Error, Result};
use crate::record::{Attachment, AttachmentKind};

/// The longest text that can be rewritten, in bytes. All of it is in the prompt, and all of it has to be in the reply.
const MAX_REGION: usize = 32 * 1024;

/// What is attached, as the kernel takes it: with an `instruction`, the one region in it is what is to be rewritten.
pub(super) fn context(mut context: Vec<Attachment>, instruction: Option<&str>) -> Result<Vec<Attachment>> {
    if let Some(at) = context.iter().position(|item| item.kind == AttachmentKind::Rewrite) {
        let what = format!("context[{at}].kind: only the server calls a region \"rewrite\"");
        return Err(Error::bad_request(what).hint("send it as a region, with the sensor \"rewrite\""));
    }
    let Some(instruction) = instruction else { return Ok(context) };
    if instruction.trim().is_empty() {
        return Err(Error::bad_request("text: how is the region to be rewritten?"));
    }
    let mut regions = context.iter_mut().filter(|item| item.kind == AttachmentKind::Region);
    let (Some(region), None) = (regions.next(), regions.next()) else {
        return Err(Error::bad_request("context: a rewrite has exactly one region"));
    };
    let size = region.text.len();
    if size == 0 || size > MAX_REGION {
        let what = format!("context: the region has {size} bytes, and 1 to {MAX_REGION} can be rewritten");
        return Err(Error::bad_request(what).hint("select a smaller part"));
    }
    region.kind = AttachmentKind::Rewrite;
    Ok(context)
}
