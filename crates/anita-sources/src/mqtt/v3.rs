//! MQTT 3.1.1.

use anita_formats::Delivery;
use rumqttc_v4::{
    AckMode, AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, Packet, QoS,
    SubscribeFilter, SubscribeReasonCode, Transport,
};

use super::client::{Arrival, Message, Options, REQUESTS_MAX, Receipt};
use super::config::Settings;
use crate::Fault;

pub(super) fn open(options: Options<'_>) -> Result<(AsyncClient, EventLoop), Fault> {
    let Options { settings, credentials, tls, message_bytes_max } = options;
    let mut mqtt = MqttOptions::new(settings.client_id.clone(), (settings.host.clone(), settings.port));
    let message_bytes_max = usize::try_from(message_bytes_max).unwrap_or(usize::MAX);
    mqtt.set_keep_alive(settings.keep_alive_secs)
        .set_ack_mode(AckMode::Manual)
        .set_max_packet_size(message_bytes_max, message_bytes_max)
        .try_set_clean_session(settings.is_clean_session)
        .map_err(|error| settings.failed(error))?;
    match credentials {
        None => {}
        Some((username, None)) => drop(mqtt.set_username(username)),
        Some((username, Some(password))) => drop(mqtt.set_credentials(username, password)),
    }
    if let Some(tls) = tls {
        mqtt.set_transport(Transport::tls_with_config(tls));
    }
    AsyncClient::builder(mqtt).capacity(REQUESTS_MAX).try_build().map_err(|error| settings.failed(error))
}

pub(super) fn subscribe(client: &AsyncClient, settings: &Settings) -> Result<(), Fault> {
    let filters = settings.topics.iter().map(|topic| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce));
    client.try_subscribe_many(filters).map_err(|error| settings.failed(error))
}

pub(super) fn arrival(event: Result<Event, ConnectionError>, settings: &Settings) -> Result<Arrival, Fault> {
    let packet = match event {
        Ok(Event::Incoming(packet)) => packet,
        Ok(Event::Outgoing(_)) => return Ok(Arrival::Housekeeping),
        Err(ConnectionError::ConnectionRefused(code)) => return Err(refused(code, settings)),
        Err(error) => return Err(settings.failed(error)),
    };
    if let Packet::Publish(publish) = packet {
        return Ok(Arrival::Message(Message {
            topic: publish.topic.clone(),
            payload: publish.payload.clone(),
            delivery: if publish.retain { Delivery::Retained } else { Delivery::Live },
            receipt: if publish.qos == QoS::AtMostOnce {
                Receipt::Unwanted
            } else {
                Receipt::V3(Box::new(publish))
            },
        }));
    }
    if let Packet::SubAck(answer) = packet {
        let refused = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Failure);
        return match answer.return_codes.iter().position(refused) {
            None => Ok(Arrival::Subscribed),
            Some(index) => Err(settings.subscription_refused(index, "refused")),
        };
    }
    Ok(if matches!(packet, Packet::ConnAck(_)) { Arrival::Connected } else { Arrival::Housekeeping })
}

fn refused(code: ConnectReturnCode, settings: &Settings) -> Fault {
    let reason = match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            "it does not accept the user name and password; check `username` and `password_file`"
        }
        ConnectReturnCode::BadClientId => "it does not accept the client id; check `client_id`",
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1; try `version = \"5\"`",
        ConnectReturnCode::ServiceUnavailable | ConnectReturnCode::Success => "it is not available",
    };
    settings.refused(reason)
}
